"""Sampling in worker processes: the same batches, whatever happens to the workers."""

import gc
import importlib.util
import os
import pickle
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from sampler_worlds import (
    Gaussian,
    GlobalGaussian,
    Hanging,
    Killer,
    NestedWalk,
    Odd,
    Raising,
    RaisingPolicy,
    SingleGaussian,
    Starving,
    Walk,
    build_nothing,
    make_factory,
    make_local,
)

from rlx_sampler import (
    ClosedSamplerError,
    EpisodeError,
    MultiprocessingSampler,
    PerWorker,
    VecWorker,
    WorkerError,
)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="shared memory and process handles are Linux's")
SECONDS = 20.0


@contextmanager
def processes(
    policy: Any = None, env: Any = None, *, options: Any = None, **choices: Any
) -> Generator[MultiprocessingSampler]:
    """Give a sampler with worker processes, and end it."""
    sampler = MultiprocessingSampler.from_worker_factory(
        make_factory(**choices), policy or Gaussian(), env or Walk(), **(options or {})
    )
    with closing(_Closing(sampler)):
        yield sampler


class _Closing:
    def __init__(self, sampler: MultiprocessingSampler) -> None:
        self._sampler = sampler

    def close(self) -> None:
        self._sampler.shutdown_worker()


def wait_for_end(pids: list[int]) -> bool:
    """Wait until processes have ended, without polling; False if one goes on too long."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended, _, _ = select.select([handle], [], [], SECONDS)
        os.close(handle)
        if not ended:
            return False
    return True


def shorten(_: Any) -> Walk:
    """Change an environment for a shorter one."""
    return Walk(6)


def lengthen(env: Walk) -> Walk:
    """Change an environment for one of twice the length."""
    return Walk(2 * env.longest)


def count_descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def digests(sampler: Any, *, calls: int = 3, steps: int = 150) -> list[str]:
    """Return the digests of some batches, one after another."""
    return [sampler.obtain_samples(call, steps, None).digest() for call in range(calls)]


class TestBatches:
    @pytest.mark.parametrize("n_workers", [1, 2, 3, 5, 8])
    def test_do_not_depend_on_the_number_of_workers(self, n_workers: int) -> None:
        """One to eight workers, more than there are cores, give the bits of the local sampler."""
        with processes(n_workers=n_workers) as sampler:
            assert digests(sampler) == digests(make_local())

    @pytest.mark.parametrize("policy", [Gaussian, SingleGaussian, GlobalGaussian])
    @pytest.mark.parametrize("shared_memory", [False, pytest.param(True, marks=on_linux)])
    def test_do_not_depend_on_the_transport(self, policy: Any, shared_memory: bool) -> None:
        """Shared memory and pipes give the same bits, for every kind of policy."""
        with processes(policy(), n_workers=2, options={"shared_memory": shared_memory}) as sampler:
            assert digests(sampler) == digests(make_local(policy()))

    @pytest.mark.parametrize("env", [NestedWalk, Odd])
    def test_carry_every_kind_of_value(self, env: Any) -> None:
        """Nested observations and infos that are no numbers arrive as they are."""
        policy = Gaussian()
        with processes(policy, env(), n_workers=2) as sampler:
            assert digests(sampler) == digests(make_local(policy, env()))

    @on_linux
    def test_numbers_are_not_pickled(self) -> None:
        """Numeric episodes lie in shared memory; the others are counted."""
        with processes(n_workers=2) as sampler, processes(env=Odd(), n_workers=2) as odd:
            digests(sampler)
            digests(odd)
            assert sampler.pickled_episodes == 0
            assert odd.pickled_episodes > 0

    def test_grow_with_long_episodes(self) -> None:
        """Episodes far larger than the first block of shared memory arrive whole."""
        choices = {"longest": 3_000, "worker_class": VecWorker, "worker_args": {"n_envs": 2}}
        with processes(env=Walk(3_000), **choices) as sampler:
            wanted = make_local(env=Walk(3_000), **choices)
            assert digests(sampler, calls=2, steps=2_000) == digests(wanted, calls=2, steps=2_000)

    def test_exact_episodes_and_lists(self) -> None:
        """Lists give each worker its own policy and environment, as locally."""
        agents, envs = [Gaussian(0.1), Gaussian(0.9)], [Walk(3), Walk(9)]
        with processes(agents, envs, n_workers=2) as sampler:
            wanted = make_local(agents, envs, n_workers=2)
            for update in (None, PerWorker([{"gain": np.float32(g)} for g in (0.3, 0.4)])):
                batch = sampler.obtain_exact_episodes(3, update)
                assert batch.digest() == wanted.obtain_exact_episodes(3, update).digest()
            assert sampler.obtain_samples(0, 50, None).digest() == wanted.obtain_samples(0, 50, None).digest()

    @pytest.mark.parametrize("shared_memory", [False, pytest.param(True, marks=on_linux)])
    def test_updates_reach_all_workers(self, shared_memory: bool) -> None:
        """Parameters, whole policies and environments arrive before the call they come with."""
        updates: list[tuple[Any, Any]] = [
            ({"gain": np.float32(0.5)}, None),
            (None, Walk(4)),
            (Gaussian(0.7), None),
            ({"gain": 0.25}, shorten),
            ({"gain": np.float64(0.5)}, None),
        ]
        with processes(n_workers=3, options={"shared_memory": shared_memory}) as sampler:
            wanted = make_local()
            for agent_update, env_update in updates:
                batch = sampler.obtain_samples(0, 60, agent_update, env_update)
                assert batch.digest() == wanted.obtain_samples(0, 60, agent_update, env_update).digest()

    def test_updated_environments_come_back_with_another_number_of_workers(self) -> None:
        """A resume builds its workers from the first environment, and brings them where they were."""
        wanted = make_local()
        wanted.obtain_samples(0, 60, None, Walk(4))
        wanted.obtain_samples(0, 60, None, shorten)
        with processes(n_workers=3) as sampler:
            sampler.load_state_dict(wanted.state_dict())
            batch = sampler.obtain_samples(0, 60, None)
            assert batch.digest() == wanted.obtain_samples(0, 60, None).digest()

    def test_state_and_pickle_go_on_with_other_numbers_of_workers(self) -> None:
        """A run goes on exactly with more workers, or locally, or from a pickled sampler."""
        local = make_local()
        wanted = digests(local, calls=4)
        with processes(n_workers=2) as sampler:
            assert digests(sampler, calls=2) == wanted[:2]
            state, pickled = sampler.state_dict(), pickle.dumps(sampler)
        with processes(n_workers=3) as more:
            more.load_state_dict(state)
            assert digests(more, calls=1) == wanted[2:3]
        resumed = make_local()
        resumed.load_state_dict(state)
        twin: MultiprocessingSampler = pickle.loads(pickled)
        assert digests(resumed, calls=2) == digests(twin, calls=2) == wanted[2:]
        twin.shutdown_worker()


class TestErrors:
    def test_of_an_environment_come_with_traceback_and_key(self) -> None:
        """The error names the episode, holds the worker's traceback and its cause, and can be replayed."""
        with processes(env=Raising(), n_workers=2) as sampler:
            with pytest.raises(EpisodeError, match=r"fell into a hole(.|\n)*sampler_worlds.py") as caught:
                sampler.obtain_samples(0, 500, None)
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
            key = caught.value.keys[0]
            with pytest.raises(EpisodeError, match=f"episode {key.episode} of sampling call 0"):
                sampler.replay(key.call, key.episode)

    def test_of_episodes_that_are_not_needed_do_not_matter(self) -> None:
        """The batch before the first broken episode is had, by any number of workers."""
        seed = 12  # the first episodes are sound
        with pytest.raises(EpisodeError, match="hole") as caught:
            make_local(env=Raising(), seed=seed).obtain_samples(0, 500, None)
        sound = caught.value.keys[0].episode
        assert sound > 1
        wanted = make_local(seed=seed).obtain_exact_episodes(sound, None)
        with processes(env=Raising(), n_workers=3, seed=seed) as sampler:
            batch = sampler.obtain_samples(0, wanted.n_steps, None)
            assert batch.digest() == wanted.digest()

    def test_leave_the_sampler_usable(self) -> None:
        """After an error the same call gives the batch it would have given."""
        with processes(env=Raising(), n_workers=2) as sampler:
            with pytest.raises(EpisodeError, match="hole"):
                sampler.obtain_samples(0, 500, None)
            wanted = make_local().obtain_samples(0, 60, None)
            assert sampler.obtain_samples(0, 60, None, Walk()).digest() == wanted.digest()

    def test_of_a_policy_name_the_episodes(self) -> None:
        """A policy that breaks is an error too, with the episodes that it acted for."""
        with processes(RaisingPolicy(), n_workers=2) as sampler:
            with pytest.raises(EpisodeError, match="the policy raised OverflowError") as caught:
                sampler.obtain_samples(0, 500, None)
            assert caught.value.keys

    def test_at_the_start_end_the_construction(self) -> None:
        """A worker that cannot be built is an error at once, and leaves no process behind."""
        with pytest.raises(WorkerError, match=r"worker \d raised LookupError\('the walk has lost its way'\)"):
            MultiprocessingSampler(make_factory(n_workers=2), Gaussian(), build_nothing)

    def test_closed_samplers_say_so(self) -> None:
        """Shutting down twice is allowed, sampling afterwards is not."""
        with processes() as sampler:
            sampler.shutdown_worker()
            with pytest.raises(ClosedSamplerError, match="was shut down"):
                sampler.obtain_samples(0, 9, None)


@on_linux
@pytest.mark.processes
class TestFaults:
    @pytest.mark.parametrize("times", [1, 2])
    def test_a_killed_worker_is_replaced(self, tmp_path: Path, times: int) -> None:
        """Kill -9 in mid-episode changes no bit of the batch."""
        with processes(env=Killer(str(tmp_path), times), n_workers=2) as sampler:
            pids = sampler.pids
            assert digests(sampler) == digests(make_local())
            assert len(list(tmp_path.iterdir())) == times
            assert len(set(pids) - set(sampler.pids)) in range(1, times + 1)

    def test_a_worker_killed_between_calls_is_replaced(self) -> None:
        """The replacement has the newest parameters and environment."""
        updates = [({"gain": np.float32(0.6)}, Walk(2)), (None, lengthen), (None, lengthen)]
        wanted = make_local()
        with processes(n_workers=2) as sampler:
            for update, env_update in updates:
                wanted.obtain_samples(0, 60, update, env_update)
                sampler.obtain_samples(0, 60, update, env_update)
            for pid in sampler.pids:
                os.kill(pid, signal.SIGKILL)
            assert wait_for_end(sampler.pids)
            assert sampler.obtain_samples(0, 60, None).digest() == wanted.obtain_samples(0, 60, None).digest()

    @pytest.mark.parametrize(
        "updates",
        [
            [({"gain": np.float32(0.5)}, lengthen)],
            [({"gain": np.float32(0.5)}, lengthen), (Gaussian(0.7), lengthen)],
        ],
        ids=["parameters", "parameters and policy"],
    )
    def test_updates_reach_workers_that_were_not_ready(self, updates: list[tuple[Any, Any]]) -> None:
        """What comes in calls that end before a killed worker is replaced is there when it runs again."""
        with processes(env=Walk(3), n_workers=3) as sampler:
            wanted = make_local(env=Walk(3))
            assert digests(sampler, calls=1, steps=300) == digests(wanted, calls=1, steps=300)
            for pid in sampler.pids[1:]:
                os.kill(pid, signal.SIGKILL)
            assert wait_for_end(sampler.pids[1:])
            calls = [(1, None, None), *((1, *update) for update in updates), (3000, None, None)]
            for steps, agent_update, env_update in calls:
                batch = sampler.obtain_samples(0, steps, agent_update, env_update)
                assert batch.digest() == wanted.obtain_samples(0, steps, agent_update, env_update).digest()

    def test_workers_that_always_die_are_an_error(self, tmp_path: Path) -> None:
        """A policy or environment that kills every worker does not keep the sampler busy for ever."""
        with (
            processes(env=Killer(str(tmp_path), 99), n_workers=1) as sampler,
            pytest.raises(WorkerError, match=r"exit code -9.*: 3 deaths in a row.*It had episodes \["),
        ):
            sampler.obtain_samples(0, 5000, None)

    def test_a_stuck_worker_is_ended(self, tmp_path: Path) -> None:
        """A step that never returns is an error with the episodes; afterwards the sampler goes on."""
        with processes(env=Hanging(str(tmp_path)), n_workers=2, options={"worker_timeout": 1.0}) as sampler:
            with pytest.raises(WorkerError, match=r"took no step for 1 s in episodes \[.*\] of call 0"):
                sampler.obtain_samples(0, 5000, None)
            (tmp_path / "free").touch()
            assert digests(sampler) == digests(make_local())

    def test_lack_of_memory_is_an_error(self) -> None:
        """When shared memory cannot grow, that is said, and nothing hangs."""
        with (
            processes(env=Starving(longest=9000), longest=9000, n_workers=1) as sampler,
            pytest.raises(WorkerError, match=r"worker 0 raised MemoryError.*File too large"),
        ):
            sampler.obtain_samples(0, 50_000, None)

    def test_nothing_is_left_open(self) -> None:
        """Samplers give back every descriptor, and workers end with them."""
        with processes(n_workers=2) as sampler:
            digests(sampler)
        pids = list[int]()
        before = count_descriptors()
        for _ in range(3):
            with processes(n_workers=2) as sampler:
                digests(sampler)
                pids.extend(sampler.pids)
        gc.collect()
        assert wait_for_end(pids)
        assert count_descriptors() <= before

    def test_a_forgotten_sampler_ends_its_workers(self) -> None:
        """Workers end when the sampler is collected without having been shut down."""
        sampler = MultiprocessingSampler(make_factory(n_workers=2), Gaussian(), Walk())
        pids = sampler.pids
        del sampler
        gc.collect()
        assert wait_for_end(pids)


SCRIPT = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may have it ignored
    sys.path.insert(0, {tests!r})
    from rlx_sampler import MultiprocessingSampler, WorkerFactory
    from sampler_worlds import Gaussian, Walk

    class Mine(Walk):
        '''An environment of the script itself, which has no main guard.'''

    factory = WorkerFactory(max_episode_length=12, seed=1, n_workers=2)
    sampler = MultiprocessingSampler(factory, Gaussian(), Mine())
    print(*sampler.pids, flush=True)
    sampler.obtain_samples(0, {steps}, None)
    print("done", flush=True)
"""


STOPPED_SCRIPT = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    from rlx_sampler import MultiprocessingSampler, WorkerFactory
    from sampler_worlds import Gaussian, Walk

    signal.signal(signal.SIGTERM, lambda *_: None)
    factory = WorkerFactory(max_episode_length=12, seed=1, n_workers=2)
    sampler = MultiprocessingSampler(factory, Gaussian(), Walk())
    os.kill(0, signal.SIGTERM)
    print(sampler.obtain_samples(0, {steps}, None).n_steps >= {steps}, flush=True)
"""


SCARCE_SCRIPT = """
    import gc, os, resource, signal, sys
    import numpy as np
    sys.path.insert(0, {tests!r})
    from rlx_sampler import MultiprocessingSampler
    from sampler_worlds import Gaussian, Walk, make_factory, make_local
    from test_multiprocessing import count_descriptors, wait_for_end

    UNLIMITED = resource.getrlimit(resource.RLIMIT_FSIZE)

    def starved(action, n_bytes):
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, UNLIMITED[1]))
        try:
            action()
        except MemoryError as error:
            print("File too large" in str(error) and "shared_memory=False" in str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, UNLIMITED)

    def call(update=None):
        return sampler.obtain_samples(0, {steps}, update).digest()

    factory = make_factory(n_workers=2)
    sampler, wanted = MultiprocessingSampler(factory, Gaussian(), Walk()), make_local()
    print(call() == wanted.obtain_samples(0, {steps}, None).digest())
    before, pids = count_descriptors(), sampler.pids

    large = {{"gain": np.float32(0.5), "more": np.zeros(1 << 20)}}
    starved(lambda: call(large), 1 << 17)
    print(call() == wanted.obtain_samples(0, {steps}, None).digest())  # the old parameters everywhere

    starved(lambda: MultiprocessingSampler(factory, Gaussian(), Walk()), 1 << 10)
    gc.collect()
    print(count_descriptors() == before, sampler.pids == pids)

    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    print(wait_for_end(pids))
    starved(call, 1 << 10)
    print(call(large) == wanted.obtain_samples(0, {steps}, large).digest())
    gc.collect()
    print(count_descriptors() == before)
    sampler.shutdown_worker()
"""


def start_script(steps: int, script: str = SCRIPT) -> "subprocess.Popen[str]":
    """Start a script that samples, in a process group of its own."""
    code = textwrap.dedent(script).format(tests=str(Path(__file__).parent), steps=steps)
    path = Path(os.environ["PYTEST_SCRIPTS"]) / f"script_{steps}.py"
    path.write_text(code)
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@on_linux
@pytest.mark.processes
class TestScripts:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTEST_SCRIPTS", str(tmp_path))

    def test_need_no_main_guard(self) -> None:
        """A plain script can sample in processes, with classes of its own, and leaves none behind."""
        with start_script(100) as script:
            output, errors = script.communicate(timeout=60)
        pids, done = output.splitlines()
        assert (done, errors, script.returncode) == ("done", "", 0)
        assert wait_for_end([int(pid) for pid in pids.split()])

    @pytest.mark.parametrize("way", [["-"], ["-i", "-q"]])
    def test_may_be_typed_in(self, way: list[str]) -> None:
        """What an interpreter reads from its input, as a notebook's does, samples with its own classes too."""
        code = textwrap.dedent(SCRIPT).format(tests=str(Path(__file__).parent), steps=100)
        ran = subprocess.run(
            [sys.executable, *way], input=code, capture_output=True, text=True, timeout=60, check=True
        )
        assert ran.stdout.splitlines()[-1] == "done"
        assert "Error" not in ran.stderr

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_that_are_killed_leave_no_workers(self, number: signal.Signals) -> None:
        """When the sampler's process is killed in mid-batch, its workers end."""
        with start_script(10**9) as script:
            pids = [int(pid) for pid in _line(script).split()]
            script.send_signal(number)
            assert wait_for_end([script.pid, *pids])

    def test_finish_their_batch_when_all_are_asked_to_stop(self) -> None:
        """After SIGTERM to all processes, as a cluster sends it, a script that heeds it later still samples."""
        with start_script(100, STOPPED_SCRIPT) as script:
            output, errors = script.communicate(timeout=60)
        assert (output, errors, script.returncode) == ("True\n", "", 0)

    def test_go_on_after_a_lack_of_memory(self) -> None:
        """Without memory for parameters, workers or a successor: an error that says so, nothing left, and on."""
        with start_script(100, SCARCE_SCRIPT) as script:
            output, errors = script.communicate(timeout=120)
        assert (set(output.split()), len(output.split())) == ({"True"}, 10), output + errors
        assert (errors, script.returncode) == ("", 0)

    def test_end_at_once_with_ctrl_c(self) -> None:
        """SIGINT to all processes, as a terminal sends it, ends in one KeyboardInterrupt."""
        with start_script(10**9) as script:
            pids = [int(pid) for pid in _line(script).split()]
            os.killpg(script.pid, signal.SIGINT)
            _, errors = script.communicate(timeout=60)
            assert wait_for_end(pids)
        assert errors.count("KeyboardInterrupt") == 1


def _line(script: "subprocess.Popen[str]") -> str:
    return "" if script.stdout is None else script.stdout.readline()


@on_linux
class TestUnfindableModules:
    MODULE = """
        import numpy as np
        from sampler_worlds import Gaussian, Walk

        LONGEST = 4

        class Mine(Walk):
            def __init__(self):
                super().__init__(LONGEST)
    """

    @pytest.mark.parametrize("name", ["a_module_loaded_by_path", "no_package.module_loaded_by_path"])
    def test_travel_by_value(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a module defines that was loaded from a file reaches workers, which could not import it."""
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(self.MODULE))
        spec: Any = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        with processes(env=module.Mine, n_workers=2) as sampler:
            assert sampler.obtain_samples(0, 60, None).lengths.max() <= 4
        assert name not in cloudpickle.list_registry_pickle_by_value()
