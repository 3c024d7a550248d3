"""A run that is killed again and again ends bit for bit like one that was left alone."""

import importlib.util
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kill_harness import (
    DONE,
    EXAMPLES,
    HERE,
    SOAK,
    STOPPED,
    TEST_SECONDS,
    Fingerprint,
    Killer,
    Program,
    differences,
    fingerprints,
    finish,
    life,
    require_kills,
    unbroken_runs,
)

pytestmark = pytest.mark.timeout(TEST_SECONDS)

KILLS = 10
N_EPOCHS = 40

PROBE = Program(HERE / "probe_run.py", ("--n-epochs", "40", "--logger", "csv"))
LARGE = replace(PROBE, options=(*PROBE.options, "--replay-rows", "600000"))
CEM = Program(
    EXAMPLES / "cem_cartpole.py", ("--n-epochs", "40", "--batch-size", "20", "--logger", "tensorboard")
)
PPO = Program(
    EXAMPLES / "ppo_cartpole.py", ("--n-epochs", "40", "--batch-size", "100", "--logger", "tensorboard")
)
DQN = Program(EXAMPLES / "dqn_cartpole.py", ("--n-epochs", "40", "--batch-size", "60", "--logger", "csv"))

SAC = Program(
    EXAMPLES / "sac_hopper.py",
    (
        "--n-epochs",
        "40",
        "--batch-size",
        "50",
        "--replay-capacity",
        "2000",
        "--logger",
        "tensorboard",
        "--fragments",
    ),
)
PIXELS = Program(
    EXAMPLES / "ppo_pixels.py",
    ("--n-epochs", "40", "--batch-size", "12", "--max-episode-length", "6", "--logger", "csv"),
)
JAX = Program(EXAMPLES / "reinforce_jax.py", ("--n-epochs", "40", "--batch-size", "60", "--logger", "csv"))


def needs(module: str) -> pytest.MarkDecorator:
    """Skip where an example's library is not installed."""
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"No module named {module!r}: the example needs it")


PROGRAMS = [
    pytest.param(PROBE, id="probe"),
    pytest.param(CEM, id="cem"),
    pytest.param(PPO, id="ppo", marks=needs("torch")),
    pytest.param(DQN, id="dqn", marks=needs("torch")),
    pytest.param(SAC, id="sac", marks=[needs("torch"), needs("mujoco"), pytest.mark.slow]),
    pytest.param(PIXELS, id="pixels", marks=[needs("torch"), needs("ale_py"), pytest.mark.slow]),
    pytest.param(JAX, id="jax", marks=needs("jax")),
]
MUTANTS = [
    "seed-reset-at-restore",
    "no-python-random-state",
    "no-numpy-random-state",
    "sampler-starts-again",
    "snapshot-before-log",
    "logs-not-cut",
    "two-pickles",
]
TORCH_MUTANTS = ["no-torch-random-state", "two-pickles"]

Twin = Callable[[Program], Path]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return the folder of a run that nobody disturbed; each program runs once."""
    return unbroken_runs(tmp_path_factory.mktemp)


def compare(program: Program, twin: Path, folder: Path) -> list[str]:
    """Name what differs between two runs, after a look that there is something to compare."""
    left, right = fingerprints(program.script, twin, folder)
    assert_complete(left)
    return differences(left, right)


def assert_complete(found: Fingerprint) -> None:
    """Fail where a run left less than it should: nothing is easily equal to nothing."""
    logged = {"journal"} | ({"csv"} if found["csv"] else {"tensorboard"})
    assert len(found["snapshot"]) > 100
    for log in logged:
        assert sum("TotalEnvSteps" in name for name in found[log]) == N_EPOCHS


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_run_ends_like_an_unbroken_one(program: Program, unbroken: Twin, tmp_path: Path) -> None:
    """Two kills in the launch and some later: weights, optimiser, random states, progress and logs are equal."""
    killer, kills = Killer(seed=11), KILLS if program in (PROBE, PPO) or SOAK else 4
    killer.kill_before_progress(program, tmp_path / "run", kills=2)
    require_kills(killer.kill_after_progress(program, tmp_path / "run", kills), kills)
    assert "grade A" in finish(program, tmp_path / "run", hash_seed=2)
    assert compare(program, unbroken(program), tmp_path / "run") == []


def test_a_run_killed_before_its_first_snapshot_begins_again(unbroken: Twin, tmp_path: Path) -> None:
    """Kills in the launch, and between launch and first snapshot, leave nothing behind that counts."""
    Killer(seed=5).kill_before_progress(PROBE, tmp_path / "run", kills=8)
    finish(PROBE, tmp_path / "run", hash_seed=3)
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") == []


@pytest.mark.parametrize("options", [("gap", "3"), ("all", "1")], ids=lambda it: it[0])
def test_epochs_after_the_last_snapshot_are_done_again(
    options: tuple[str, str], unbroken: Twin, tmp_path: Path
) -> None:
    """In every snapshot mode, work that no snapshot covers is repeated, and logged once."""
    mode = ("--snapshot-mode", options[0], "--snapshot-gap", options[1], "--n-epochs", "37")
    program = replace(PROBE, options=(*PROBE.options[2:], *mode))
    require_kills(Killer(seed=3).kill_after_progress(program, tmp_path / "run", 3), 3)
    finish(program, tmp_path / "run", "--n-epochs", "40", "--snapshot-mode", "last")
    left, right = fingerprints(PROBE.script, unbroken(PROBE), tmp_path / "run")
    assert differences(left, right) == []


def other_workers(number: int) -> tuple[str, ...]:
    """Give every life another sampler or another number of workers."""
    kind = "local" if number % 5 == 4 else "multiprocessing"
    return ("--sampler", kind, "--n-workers", str(1 + number % 4))


def sharing_workers(number: int) -> tuple[str, ...]:
    """Share four environments among 1, 2 or 4 workers."""
    return ("--sampler", "multiprocessing", "--n-workers", str(2 ** (number % 3)))


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(PROBE, id="probe"),
        pytest.param(CEM, id="cem", marks=pytest.mark.slow),
        pytest.param(PPO, id="ppo", marks=needs("torch")),
        pytest.param(DQN, id="dqn", marks=[needs("torch"), pytest.mark.slow]),
        pytest.param(SAC, id="sac", marks=[needs("torch"), needs("mujoco"), pytest.mark.slow]),
    ],
)
def test_workers_may_change_from_life_to_life(program: Program, unbroken: Twin, tmp_path: Path) -> None:
    """One to four worker processes, or none: a run that is killed under each ends like one in process."""
    kills = 5 if program is PROBE else 2
    options = sharing_workers if program is SAC else other_workers
    require_kills(Killer(seed=17).kill_after_progress(program, tmp_path / "run", kills, options), kills)
    said = finish(program, tmp_path / "run", "--sampler", "local", "--n-workers", "1")
    assert "grade A" in said
    assert compare(program, unbroken(program), tmp_path / "run") == []


def test_a_large_replay_buffer_comes_back(unbroken: Twin, tmp_path: Path) -> None:
    """Snapshots of which only the changed parts are written are as whole after a kill as others."""
    require_kills(Killer(seed=23).kill_after_progress(LARGE, tmp_path / "run", 5), 5)
    finish(LARGE, tmp_path / "run")
    assert compare(LARGE, unbroken(LARGE), tmp_path / "run") == []


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(PROBE, id="probe"),
        pytest.param(PPO, id="ppo", marks=needs("torch")),
        pytest.param(DQN, id="dqn", marks=needs("torch")),
    ],
)
def test_environments_in_mid_episode_come_back(program: Program, unbroken: Twin, tmp_path: Path) -> None:
    """Fragments continue from live environments, also when other workers get them after a kill."""
    program = replace(program, options=(*program.options, "--fragments"))
    kills = 5 if program.script == PROBE.script else 3
    require_kills(
        Killer(seed=19).kill_after_progress(program, tmp_path / "run", kills, sharing_workers), kills
    )
    said = finish(program, tmp_path / "run", "--sampler", "local", "--n-workers", "1")
    assert "grade A" in said
    assert compare(program, unbroken(program), tmp_path / "run") == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_fault_is_noticed(mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The comparison above fails for a runner that gets one thing wrong."""
    mode = ("--snapshot-mode", "gap_overwrite", "--snapshot-gap", "4", "--n-epochs", "37")
    program = replace(PROBE, options=(*PROBE.options[2:], *mode), mutant=mutant)
    assert Killer(seed=7).kill_after_progress(program, tmp_path / "run", 1) == 1
    finish(program, tmp_path / "run", "--n-epochs", "40", "--snapshot-mode", "last")
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") != []


@needs("torch")
@pytest.mark.parametrize("mutant", TORCH_MUTANTS)
def test_a_fault_is_noticed_with_torch(mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The same with an optimiser and torch's generator."""
    program = replace(PPO, mutant=mutant)
    assert Killer(seed=7).kill_after_progress(program, tmp_path / "run", 1) == 1
    finish(program, tmp_path / "run")
    assert compare(PPO, unbroken(PPO), tmp_path / "run") != []


def killed_in_its_fifth_save(mutant: str, folder: Path) -> None:
    """Run the probe until it kills itself in the middle of a write."""
    with life(replace(PROBE, mutant=mutant), folder) as process:
        assert process.end() == -signal.SIGKILL


def test_a_kill_in_the_middle_of_a_write_tears_nothing(unbroken: Twin, tmp_path: Path) -> None:
    """The snapshot before it is whole; what the dead writer left is swept away."""
    killed_in_its_fifth_save("killed-while-writing", tmp_path / "run")
    finish(PROBE, tmp_path / "run")
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") == []
    assert not list((tmp_path / "run").glob(".params*"))


def test_a_torn_snapshot_is_noticed(tmp_path: Path) -> None:
    """Where snapshots are written in place the same kill tears one, and the run says so instead of continuing."""
    killed_in_its_fifth_save("non-atomic-write", tmp_path / "run")
    with pytest.raises(RuntimeError, match=r"params\.pkl"):
        finish(PROBE, tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_stopped_run_goes_on_exactly(number: signal.Signals, unbroken: Twin, tmp_path: Path) -> None:
    """One signal ends the run after its epoch with code 75; what follows is as if it had never been sent."""
    with life(PROBE, tmp_path / "run") as process:
        assert process.wait_for_snapshot()
        process.send(number)
        assert process.end() == STOPPED
    finish(PROBE, tmp_path / "run")
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") == []


@pytest.mark.parametrize(
    ("number", "code", "seconds"),
    [(signal.SIGTERM, 143, 5.5), (signal.SIGINT, 130, 0.0)],  # SIGTERMs that come together are one request
    ids=["SIGTERM", "SIGINT"],
)
def test_a_second_request_ends_the_run_at_once(
    number: signal.Signals, code: int, seconds: float, unbroken: Twin, tmp_path: Path
) -> None:
    """In the middle of a long epoch it does not wait for the epoch's end, and nothing is torn."""
    with life(PROBE, tmp_path / "run", "--hold-at", "5") as process:
        assert process.wait_for_words("holding")
        process.send(number)
        assert process.wait_for_words("once more")
        time.sleep(seconds)
        process.send(number)
        assert process.end() == code
    finish(PROBE, tmp_path / "run", "--hold-at", "-1")
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") == []


def test_a_finished_run_is_left_alone(unbroken: Twin) -> None:
    """Continuing a run that is complete changes nothing and succeeds."""
    folder = unbroken(PROBE)
    (before,) = fingerprints(PROBE.script, folder)
    with life(PROBE, folder) as process:
        assert process.end() == DONE
        assert "nothing is left to train" in process.said()
    (after,) = fingerprints(PROBE.script, folder)
    assert differences(before, after) == []


@pytest.mark.slow
def test_a_run_sampled_with_ray_ends_like_one_in_process(unbroken: Twin, tmp_path: Path) -> None:
    """Actors of Ray, killed with their driver: the same bits."""
    pytest.importorskip("ray")
    options = ("--sampler", "ray", "--n-workers", "2")
    require_kills(Killer(seed=29).kill_after_progress(PROBE, tmp_path / "run", 2, lambda number: options), 2)
    finish(PROBE, tmp_path / "run", "--sampler", "local", "--n-workers", "1")
    assert compare(PROBE, unbroken(PROBE), tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("seed", range(5))
def test_many_kills(program: Program, seed: int, unbroken: Twin, tmp_path: Path) -> None:
    """Up to fifty more kills a program, before and after progress."""
    killer = Killer(seed=100 + seed)
    killer.kill_before_progress(program, tmp_path / "run", kills=3)
    require_kills(killer.kill_after_progress(program, tmp_path / "run", KILLS), KILLS)
    finish(program, tmp_path / "run", hash_seed=seed)
    assert compare(program, unbroken(program), tmp_path / "run") == []
