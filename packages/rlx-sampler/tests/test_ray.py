"""Sampling in actors of Ray: the same batches as everywhere."""

import os
import pickle
import random
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sampler_worlds import (
    Gaussian,
    GlobalGaussian,
    Hanging,
    Killer,
    Raising,
    Walk,
    build_nothing,
    make_factory,
    make_local,
)

from rlx_sampler import EpisodeError, FragmentWorker, RaySampler, WorkerError
from rlx_sampler._ray.engine import connected

ray: Any = pytest.importorskip("ray", reason="ray is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # Ray's own start leaves files open and warns of its future
    pytest.mark.skipif(sys.platform != "linux", reason="a local Ray is tested on Linux only"),
]


@pytest.fixture(scope="module", autouse=True)
def _session() -> Generator[None]:
    """Start a local Ray with a home of its own, since it writes there."""
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as home:
        os.environ |= {
            "HOME": home,
            "RAY_TMPDIR": home,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
        }
        os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), before.get("PYTHONPATH", "")])
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            _temp_dir=home,
            object_store_memory=80 << 20,
        )
        yield
        ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


def digests(sampler: Any, *, calls: int = 3) -> list[str]:
    """Return the digests of some batches, and end the sampler."""
    found = [sampler.obtain_samples(call, 100, None).digest() for call in range(calls)]
    sampler.shutdown_worker()
    return found


@pytest.mark.parametrize(
    ("policy", "n_workers"), [(Gaussian, 1), (GlobalGaussian, 2), (Gaussian, 3), (Gaussian, 4)]
)
def test_batches_are_those_of_the_local_sampler(policy: Any, n_workers: int) -> None:
    """One actor or more than there are cores: the same bits."""
    sampler = RaySampler.from_worker_factory(make_factory(n_workers=n_workers), policy(), Walk())
    assert digests(sampler) == digests(make_local(policy()))


def test_updates_reach_all_actors() -> None:
    """Parameters, policies, environments and lists arrive, and states go on elsewhere."""
    sampler, wanted = RaySampler(make_factory(n_workers=2), Gaussian(), Walk()), make_local()
    updates: list[tuple[Any, Any]] = [
        ({"gain": np.float32(0.5)}, None),
        (None, Walk(4)),
        (Gaussian(0.7), None),
    ]
    for agent_update, env_update in updates:
        batch = sampler.obtain_samples(0, 60, agent_update, env_update)
        assert batch.digest() == wanted.obtain_samples(0, 60, agent_update, env_update).digest()
    state = sampler.state_dict()
    resumed = make_local(Gaussian(0.7), Walk(4))
    resumed.load_state_dict(state)
    assert digests(resumed, calls=1) == digests(sampler, calls=1)


def twice(env: Walk) -> Walk:
    """Change a walk for one of twice the length."""
    return Walk(2 * env.longest)


def test_updates_wait_for_actors_that_had_nothing_to_do() -> None:
    """What came with calls too small for all actors is there when they run again."""
    half = {"gain": np.float32(0.5)}
    updates: list[list[tuple[Any, Any]]] = [
        [({"gain": np.float32(0.1)}, None)],
        [(Gaussian(0.7), None), (half, None)],
        [(half, None), (Gaussian(0.2), None)],
        [(None, twice), (None, twice)],
    ]
    sampler, wanted = RaySampler(make_factory(n_workers=4), Gaussian(), Walk(3)), make_local(env=Walk(3))
    for few, several in zip((1, 5, 1, 1), updates, strict=True):
        for steps, *update in ((300, None, None), *((few, *each) for each in several), (300, None, None)):
            batch = sampler.obtain_samples(0, steps, *update)
            assert batch.digest() == wanted.obtain_samples(0, steps, *update).digest()
    sampler.shutdown_worker()


def test_an_update_that_raises_is_an_error_of_the_worker() -> None:
    """It has the kind and the words that it has elsewhere, and the next policy helps."""
    sampler = RaySampler(make_factory(n_workers=2), Gaussian(), Walk())
    with pytest.raises(WorkerError, match=r"worker \d raised KeyError\('gain'\)(.|\n)*set_param_values"):
        sampler.obtain_samples(0, 60, {"loss": 1.0})
    wanted = make_local().obtain_samples(0, 60, Gaussian(0.7))
    assert sampler.obtain_samples(0, 60, Gaussian(0.7)).digest() == wanted.digest()
    sampler.shutdown_worker()


def test_a_killed_actor_is_replaced(tmp_path: Path) -> None:
    """Kill -9 in mid-episode changes no bit of the batch."""
    sampler = RaySampler(make_factory(n_workers=2), Gaussian(), Killer(str(tmp_path)))
    assert digests(sampler) == digests(make_local())
    assert len(list(tmp_path.iterdir())) == 1


def test_actors_that_always_die_are_an_error(tmp_path: Path) -> None:
    """The third death in a row ends the call."""
    sampler = RaySampler(make_factory(), Gaussian(), Killer(str(tmp_path), 99))
    with pytest.raises(
        WorkerError,
        match=r"worker 0 died \(The actor died.*\): 3 deaths in a row without a finished episode. It had",
    ):
        sampler.obtain_samples(0, 5000, None)
    sampler.shutdown_worker()


def test_a_stuck_actor_is_ended(tmp_path: Path) -> None:
    """A step that never returns is an error with the episodes."""
    sampler = RaySampler(make_factory(), Gaussian(), Hanging(str(tmp_path)), worker_timeout=5.0)
    with pytest.raises(WorkerError, match=r"took no step for 5 s in episodes \[.*\] of call 0"):
        sampler.obtain_samples(0, 5000, None)
    (tmp_path / "free").touch()
    assert digests(sampler) == digests(make_local())


def test_errors_come_with_the_episode() -> None:
    """An environment's error is raised here, with the remote traceback."""
    sampler = RaySampler(make_factory(), Gaussian(), Raising())
    with pytest.raises(EpisodeError, match=r"fell into a hole(.|\n)*sampler_worlds.py"):
        sampler.obtain_samples(0, 500, None)
    sampler.shutdown_worker()


def test_a_worker_that_cannot_be_built_is_an_error() -> None:
    """The construction fails with the reason."""
    with pytest.raises(WorkerError, match="the walk has lost its way"):
        RaySampler(make_factory(), Gaussian(), build_nothing)


def test_fragments_go_on() -> None:
    """Live environments go on with other workers, in process too."""
    args = {"n_envs": 2, "timesteps_per_call": 5}
    sampler = RaySampler(
        make_factory(worker_class=FragmentWorker, worker_args=args, n_workers=2), Gaussian(), Walk()
    )
    sampler.obtain_samples(0, 40, None)
    resumed = make_local(worker_class=FragmentWorker, worker_args={**args, "n_envs": 4})
    resumed.load_state_dict(sampler.state_dict())
    assert digests(resumed) == digests(sampler)


def test_a_pickled_sampler_goes_on() -> None:
    """It builds actors of its own, with the newest policy and environment."""
    sampler, wanted = RaySampler(make_factory(n_workers=2), Gaussian(), Walk(3)), make_local(env=Walk(3))
    batch = sampler.obtain_samples(0, 60, {"gain": np.float32(0.5)}, twice)
    assert batch.digest() == wanted.obtain_samples(0, 60, {"gain": np.float32(0.5)}, twice).digest()
    twin: RaySampler = pickle.loads(pickle.dumps(sampler))
    following = digests(wanted, calls=1)
    assert digests(sampler, calls=1) == following
    assert digests(twin, calls=1) == following


def test_two_samplers_have_room_in_one_session() -> None:
    """One that trains and one that evaluates, each with as many actors as there are cores, work in turn."""
    first, second = (RaySampler(make_factory(n_workers=2), Gaussian(), Walk()) for _ in range(2))
    wanted = make_local()
    for call in range(2):
        digest = wanted.obtain_samples(call, 40, None).digest()
        assert first.obtain_samples(call, 40, None).digest() == digest
        assert second.obtain_samples(call, 40, None).digest() == digest
    first.shutdown_worker()
    second.shutdown_worker()


def test_options_of_actors_are_those_of_ray() -> None:
    """What Ray does not know as an option of an actor, Ray refuses."""
    with pytest.raises(ValueError, match="num_wheels"):
        RaySampler(make_factory(), Gaussian(), Walk(), actor_options={"num_wheels": 3})


def test_rays_session_is_left_alone() -> None:
    """Shutting a sampler down does not end Ray."""
    sampler = RaySampler(make_factory(), Gaussian(), Walk())
    sampler.shutdown_worker()
    sampler.shutdown_worker()
    assert ray.is_initialized()


def test_connecting_moves_no_generator_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray draws from Python's generator when it starts; a run goes on with its own stream all the same."""

    def draw(**options: object) -> None:
        random.random()

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", draw)
    before = random.getstate()
    connected({})
    assert random.getstate() == before


@pytest.mark.parametrize("is_there", [False, True])
def test_options_reach_ray_where_nobody_has_connected(
    is_there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They win over what is usual here; a session that is there is taken as it is."""
    given: list[dict[str, object]] = []

    def note(**options: object) -> None:
        given.append(options)

    monkeypatch.setattr(ray, "is_initialized", lambda: is_there)
    monkeypatch.setattr(ray, "init", note)
    connected({"address": "ray://cluster:10001", "log_to_driver": True})
    wanted = {"include_dashboard": False, "log_to_driver": True, "address": "ray://cluster:10001"}
    assert given == ([] if is_there else [wanted])
