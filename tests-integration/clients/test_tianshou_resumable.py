"""Runs of tianshou's trainers that are killed again and again end bit for bit like ones that were left alone."""

import importlib
import re
import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeGuard

import pytest

try:
    TIANSHOU = version("tianshou").partition(".")[0]
except PackageNotFoundError:
    pytest.skip("tianshou is not installed", allow_module_level=True)

from kill_harness import LONGER, SOAK, TEST_SECONDS, Killer, Program, finish, require_kills, unbroken_runs
from rlx_logging import read_metrics
from rlx_runner import IncompleteCheckpointError
from rlx_runner._checkpoint.attributes import dictionary_of
from rlx_runner._checkpoint.compare import differences
from rlx_runner.tianshou import run_resumable
from rlx_snapshot import Snapshotter

pytestmark = pytest.mark.timeout(TEST_SECONDS)

KILLS = 10 if SOAK else 3
SCRIPT = Path(__file__).with_name(f"resumable_tianshou_{TIANSHOU}.py")
WALL_CLOCK = re.compile(r"time|speed")


@dataclass(frozen=True)
class Training(Program):
    """A training of tianshou's, which continues by itself where its folder holds a snapshot."""

    kind: str = ""
    epochs: int = 12 * LONGER

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the run in `folder`, or continues it."""
        start = super().command(folder, ())[:-3]
        return [*start, self.kind, str(folder), str(self.epochs), *more]


OFF_POLICY = Training(SCRIPT, kind="off-policy")
ON_POLICY = Training(SCRIPT, kind="on-policy")
HIGH_LEVEL = Training(SCRIPT, kind="high-level", epochs=8 * LONGER)
TRAININGS = [OFF_POLICY, ON_POLICY, *([HIGH_LEVEL] if TIANSHOU == "2" else [])]
MUTANTS = [
    pytest.param(OFF_POLICY, "tianshou-buffer-pointer-lost", id="the buffer's pointer"),
    pytest.param(OFF_POLICY, "no-numpy-random-state", id="numpy's generator"),
    pytest.param(OFF_POLICY, "events-not-cut", id="TensorBoard's files"),
    pytest.param(ON_POLICY, "workers-lost", id="environments in workers"),
    pytest.param(ON_POLICY, "no-torch-random-state", id="torch's generator", marks=pytest.mark.slow),
]

Twin = Callable[[Training], Path]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return the folder of a run that nobody disturbed; each training runs once."""
    return unbroken_runs(tmp_path_factory.mktemp)


def compare(twin: Path, folder: Path) -> list[str]:
    """Name what differs between two runs: the last snapshots, the weights, the best policy, and every row."""
    left, right = (snapshot(each) for each in (twin, folder))
    found = [path for path in differences("", left, right) if not WALL_CLOCK.search(path)]
    logs = [rows(each) for each in (twin, folder)]
    assert logs[0]["rows"]
    return found + sorted(name for name, value in logs[0].items() if logs[1].get(name) != value)


def snapshot(folder: Path) -> dict[str, Any]:
    """Return the content of the last snapshot, without the logs."""
    saved = Snapshotter(folder).load(folder)
    parts = {name: part["object"] for name, part in saved["parts"].items() if "object" in part}
    trainer = parts["trainer"]
    owner = trainer.params if TIANSHOU == "2" else trainer
    names = ("train_collector", "training_collector", "test_collector")
    collectors: list[Any] = [getattr(owner, name, None) for name in names]
    for collector in collectors:
        if collector is not None:
            collector.buffer.buffers = list(collector.buffer.buffers)  # an array of objects shows no parts
            spaces: Any = dictionary_of(collector).get("_action_space")
            if is_list(spaces):  # of those that NumPy 1 pickled, seed sequences are of the machine's entropy
                collector._action_space = [repr(space.np_random.bit_generator.state) for space in spaces]
    return {"epochs": saved["steps_done"], "random": saved["exact"]["random"], **parts}


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether there is a space for each environment."""
    return isinstance(value, list)


def rows(folder: Path) -> dict[str, Any]:
    """Return the weights, the best policy's, and every point of the logs."""
    return {
        "weights": (folder / "final.pt").read_bytes(),
        "best": {path.name: content_of_policy(path) for path in (folder / "best").glob("*.pt")},
        "rows": list(points(next(folder.glob("logs/*seed*"), folder / "logs"))),
    }


def content_of_policy(path: Path) -> str:
    """Return what is in a file of a policy, every number of it."""
    torch: Any = importlib.import_module("torch")
    torch.set_printoptions(precision=17, threshold=10**9)
    return repr(torch.load(path))


def points(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Yield every scalar of the logs but wall-clock times."""
    for tag, series in sorted(read_metrics(folder).items()):
        if not WALL_CLOCK.search(tag):
            yield from (
                (tag, int(step), float(value))
                for step, value in zip(series.steps, series.values, strict=True)
            )


@pytest.mark.slow
@pytest.mark.parametrize("program", TRAININGS, ids=lambda program: program.kind)
def test_a_killed_run_ends_like_an_unbroken_one(program: Training, unbroken: Twin, tmp_path: Path) -> None:
    """A kill in the launch, more later: nets, buffers, environments, statistics, the best policy and logs are equal."""
    killer = Killer(seed=11)
    killer.kill_before_progress(program, tmp_path / "run", kills=1)
    require_kills(killer.kill_after_progress(program, tmp_path / "run", KILLS), KILLS)
    finish(program, tmp_path / "run", hash_seed=2)
    assert compare(unbroken(program), tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize(("program", "mutant"), MUTANTS)
def test_a_fault_is_noticed(program: Training, mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The comparison above fails for a resume that leaves one thing out."""
    faulty = replace(program, mutant=mutant)
    killer = Killer(
        seed=7
    )  # the first snapshots hold what the script begins with, so that nothing of it can be lost
    assert killer.kill_after_progress(faulty, tmp_path / "run", 1, after=3) == 1
    finish(faulty, tmp_path / "run")
    assert compare(unbroken(program), tmp_path / "run") != []


class Drift:
    """Shifts a weight after each epoch by what it has counted."""

    def __init__(self, net: Any) -> None:
        self.net, self.epochs = net, 0

    def __call__(self, num_epoch: int, step_idx: int) -> None:
        """Take the place of a trainer's function that prepares a test."""
        del num_epoch, step_idx
        self.epochs += 1
        next(iter(self.net.parameters())).data.add_(self.epochs * 1e-3)


@pytest.mark.parametrize("is_passed", [True, False])
def test_what_functions_remember_is_found(tmp_path: Path, is_passed: bool) -> None:
    """Epochs done twice: the function's count is in the snapshot where it is passed, else the weights differ."""
    make: Callable[..., Any] = runpy.run_path(str(SCRIPT))["off_policy"]
    trainer = make(tmp_path, 2)
    drift = Drift(trainer.algorithm if TIANSHOU == "2" else trainer.policy)
    if TIANSHOU == "2":
        trainer.params.test_fn = drift
    else:
        trainer.test_fn = drift
    if is_passed:
        run_resumable(trainer, tmp_path, progress=False, check=1, drift=drift)
        assert Snapshotter(tmp_path).load(tmp_path)["exact"]["reasons"] == [
            ("A", "1 epochs done twice came to the same")
        ]
    else:
        with pytest.raises(IncompleteCheckpointError, match="ended differently: trainer"):
            run_resumable(trainer, tmp_path, progress=False, check=1)


def test_another_number_of_environments_is_refused(tmp_path: Path) -> None:
    """Both numbers are told, and neither the nets nor the folder is changed."""
    make: Callable[..., Any] = runpy.run_path(str(SCRIPT))["off_policy"]
    first = make(tmp_path, 1)
    run_resumable(first, tmp_path, progress=False)
    files = (tmp_path / "params.pkl").read_bytes()
    other = make(tmp_path, 2, n_envs=3)
    owner = other.algorithm if TIANSHOU == "2" else other.policy
    before = [parameter.tolist() for parameter in owner.parameters()]
    with pytest.raises(ValueError, match=r"env_num is 3 here, 2 in the snapshot"):
        run_resumable(other, tmp_path, progress=False)
    assert [parameter.tolist() for parameter in owner.parameters()] == before
    assert (tmp_path / "params.pkl").read_bytes() == files


def test_what_is_no_trainer_is_refused(tmp_path: Path) -> None:
    """The argument is named, and what it must be."""
    with pytest.raises(TypeError, match=r"trainer is .*; it must be a trainer of tianshou"):
        run_resumable(object(), tmp_path)
