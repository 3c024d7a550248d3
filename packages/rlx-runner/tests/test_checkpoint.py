"""A loop of one's own: saved, killed, and continued by the same objects."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlx_protocols import NullSnapshotStore
from rlx_protocols.testing import MemoryLogger
from rlx_runner import Checkpoint, StatisticalResumeError, TrainingStopped, get_seed, set_seed
from rlx_snapshot import SnapshotConfig, Snapshotter, UnpicklableStateError


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


class Loop:
    """A loop over an environment with all kinds of state: arrays, generators, variables, rows of a log."""

    def __init__(self, folder: Path, logger: Any = None, **options: Any) -> None:
        set_seed(5)
        self.rng = np.random.default_rng(1)
        self.weights = np.zeros(4)
        self.alias = self.weights
        self.env = gymnasium.make("CartPole-v1")
        self.buffer = SimpleNamespace(rows=np.zeros((50, 4), np.float32), added=0)
        self.logger = MemoryLogger() if logger is None else logger
        self.run = Checkpoint(
            folder,
            logger=self.logger,
            progress=False,
            weights=self.weights,
            rng=self.rng,
            env=self.env,
            buffer=self.buffer,
            **options,
        )

    def train(self, n: int, *, every: int = 5, dies_at: int = -1, **options: Any) -> tuple[Any, ...]:
        """Do `n` steps in all; return everything that an exact resume must get right."""
        observation: Any = self.env.reset(seed=3)[0]
        total: Any = 0.0
        observation, total = self.run.carry(lambda: (observation, total))
        for step in self.run.steps(n, every=every, **options):
            if step == dies_at:
                raise KilledError(step)
            action = int(self.rng.random() + random.random() * 0.5 + np.random.random() * 0.5 > 1.0)
            self.buffer.rows[self.buffer.added % 50] = observation
            self.buffer.added += 1
            observation, reward, ended, cut, _ = self.env.step(action)
            total += float(reward)
            self.weights += 0.1 * observation * self.rng.standard_normal(4)
            self.logger.write("info/step", step, {"total": total, "weight": float(self.weights[0])})
            if ended or cut:
                observation, _ = self.env.reset()
        drawn = (self.rng.random(), random.random(), float(np.random.random()), self.env.np_random.random())
        rows = [(step, row) for _, step, row in self.logger.rows]
        return total, observation.tolist(), self.weights.tolist(), self.buffer.rows.tolist(), drawn, rows


@pytest.mark.parametrize("dies_at", [0, 3, 23, 39])
def test_an_interrupted_loop_ends_like_an_unbroken_one(tmp_path: Path, dies_at: int) -> None:
    """Variables, arrays, generators, environment in mid-episode and rows are those of a run that never stopped."""
    unbroken = Loop(tmp_path / "unbroken").train(40)
    logger = MemoryLogger()
    with pytest.raises(KilledError, match=str(dies_at)):
        Loop(tmp_path / "run", logger).train(40, dies_at=dies_at)
    resumed = Loop(tmp_path / "run", logger)
    assert resumed.train(40) == unbroken
    assert resumed.run.exactness.grade == "A"


def test_the_same_objects_continue(tmp_path: Path) -> None:
    """What the loop built before is what the restored state is in: references elsewhere stay good."""
    Loop(tmp_path).train(10)
    again = Loop(tmp_path)
    alias, rows, generator = again.alias, again.buffer.rows, again.env.np_random
    assert again.run.restore() == 10
    assert again.weights is alias
    assert alias.any()
    assert again.buffer.rows is rows
    assert rows.any()
    assert again.env.unwrapped.np_random is generator


def test_what_parts_share_stays_shared(tmp_path: Path) -> None:
    """An array that two parts hold, one in a list and one in a variable, is one array afterwards."""

    def build() -> tuple[Checkpoint, Any, Any]:
        array = np.arange(3.0)
        owner, user = SimpleNamespace(array=array), SimpleNamespace(arrays=[array], more=())
        return Checkpoint(tmp_path, progress=False, owner=owner, user=user), owner, user

    run, owner, user = build()
    newest = run.carry(lambda: owner.array)
    owner.array += 1
    user.more = (owner, owner.array)
    run.save(1)
    run.wait()
    again, owner, user = build()
    newest = again.carry(lambda: owner.array)
    assert newest is owner.array is user.arrays[0] is user.more[1]
    assert user.more[0] is owner
    assert newest.tolist() == [1.0, 2.0, 3.0]


def test_saving_at_chosen_moments(tmp_path: Path) -> None:
    """Without `steps`, the loop asks how far it is and says when it saves."""
    counter = SimpleNamespace(n=0)
    run = Checkpoint(tmp_path, progress=False, counter=counter)
    assert run.restore() is None
    for step in range(7):
        counter.n += 1
        if step == 4:
            run.save(step + 1)
    run.wait()
    again = SimpleNamespace(n=0)
    assert Checkpoint(tmp_path, progress=False, counter=again).restore() == 5
    assert again.n == 5


def test_an_older_snapshot_can_be_taken(tmp_path: Path) -> None:
    """Later snapshots are put away, so that the newest one is the one that was continued from."""
    where = SnapshotConfig(str(tmp_path), "all", 1)
    counter = SimpleNamespace(n=0)
    for _ in Checkpoint(where, progress=False, counter=counter).steps(6, every=2):
        counter.n += 1
    run = Checkpoint(where, progress=False, counter=counter)
    assert run.restore(2) == 2
    assert counter.n == 2
    assert sorted(path.name for path in tmp_path.glob("*.pkl")) == ["itr_0.pkl", "itr_2.pkl"]
    with pytest.raises(FileNotFoundError, match="no snapshot of iteration 4"):
        run.restore(4)


def test_a_finished_loop_does_nothing_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps that are done are not done again, and that is said."""
    counter = SimpleNamespace(n=0)
    list(Checkpoint(tmp_path, counter=counter).steps(3))
    assert list(Checkpoint(tmp_path, counter=counter).steps(3)) == []
    assert "All of 3 steps are done" in capsys.readouterr().err


def test_a_stop_saves_and_says_where_it_continues(tmp_path: Path) -> None:
    """The step that is under way is finished; the exit status is that of a run that can be resumed."""
    asked = SimpleNamespace(stop=False)
    counter = SimpleNamespace(n=0)
    run = Checkpoint(tmp_path, progress=False, counter=counter, stop_requested=lambda: asked.stop)

    def train() -> None:
        for step in run.steps(100, every=50):
            counter.n += 1
            asked.stop = step == 6

    with pytest.raises(TrainingStopped, match="Stopped after 7 of 100 steps") as stopped:
        train()
    assert stopped.value.code == 75
    assert Checkpoint(tmp_path, progress=False, counter=counter).restore() == 7


def test_what_cannot_be_saved_is_said_before_the_first_step(tmp_path: Path) -> None:
    """The error names the part; no step was done."""
    part = SimpleNamespace(file=(tmp_path / "open").open("w"))
    done: list[int] = []
    with part.file, pytest.raises(UnpicklableStateError, match="file"):
        done.extend(Checkpoint(tmp_path, progress=False, part=part).steps(3))
    assert done == []


@pytest.mark.parametrize("value", [3, 1.5, "text", (1, 2), None])
def test_what_cannot_change_is_refused(tmp_path: Path, value: Any) -> None:
    """A number passed is a copy of a variable: the way out is named."""
    with pytest.raises(TypeError, match=r"^epsilon must be an object .*carry\(lambda: epsilon\)"):
        Checkpoint(tmp_path, progress=False, epsilon=value)


class Counter:
    """Says itself what its state is."""

    def __init__(self) -> None:
        self.n = 0
        self.callback = KilledError

    def state_dict(self) -> dict[str, int]:
        return {"n": self.n}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.n = state["n"]


class OtherCounter(Counter):
    """Another class with the same state."""


def save(folder: Path, **parts: Any) -> None:
    """Make a snapshot of `parts` after one step."""
    run = Checkpoint(folder, progress=False, **parts)
    run.save(1)
    run.wait()


def two_environments() -> gymnasium.vector.SyncVectorEnv:
    """Return two environments."""
    return gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 2)


def three_environments() -> gymnasium.vector.SyncVectorEnv:
    """Return three environments."""
    return gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 3)


@pytest.mark.parametrize(
    ("saved", "here", "named"),
    [
        (Counter, OtherCounter, "part is a .*OtherCounter here, a .*Counter in the snapshot"),
        (lambda: np.zeros(3), lambda: np.zeros(4), r"part has shape \(4,\) here, \(3,\) in the snapshot"),
        (lambda: np.zeros(3), lambda: np.zeros(3, "f4"), "part is float32 here, float64 in the snapshot"),
        (
            lambda: SimpleNamespace(rows=np.zeros((9, 2))),
            lambda: SimpleNamespace(rows=np.zeros((5, 2))),
            r"part\.rows has shape \(5, 2\) here, \(9, 2\)",
        ),
        (two_environments, three_environments, r"part\.num_envs is 3 here, 2 in the snapshot"),
        (
            lambda: gymnasium.make("CartPole-v1"),
            lambda: gymnasium.make("Acrobot-v1"),
            "is a AcrobotEnv here, a CartPoleEnv in the snapshot",
        ),
    ],
    ids=["class", "shape", "dtype", "capacity", "environments", "environment"],
)
def test_another_make_is_refused_before_anything_changes(
    tmp_path: Path, saved: Callable[[], Any], here: Callable[[], Any], named: str
) -> None:
    """All parts are compared first; the message has the names."""
    other = SimpleNamespace(n=1)
    save(tmp_path, part=saved(), other=other)
    mine = SimpleNamespace(n=0)
    with pytest.raises(ValueError, match=named):
        Checkpoint(tmp_path, progress=False, part=here(), other=mine).restore()
    assert mine.n == 0


def test_other_names_are_refused(tmp_path: Path) -> None:
    """A part that is missing on either side is named."""
    save(tmp_path, old=Counter())
    with pytest.raises(ValueError, match="new is not in the snapshot; old of the snapshot is not here"):
        Checkpoint(tmp_path, progress=False, new=Counter()).restore()


def test_a_snapshot_of_something_else_is_refused(tmp_path: Path) -> None:
    """The message says who reads it."""
    Snapshotter(tmp_path).save_itr_params(3, {"weights": 1})
    with pytest.raises(ValueError, match="not made by a Checkpoint"):
        Checkpoint(tmp_path, progress=False, counter=Counter()).restore()


def test_a_part_with_a_state_of_its_own_is_saved_by_it(tmp_path: Path) -> None:
    """Its other attributes are left alone."""
    counter = Counter()
    counter.n = 4
    save(tmp_path, counter=counter)
    again = Counter()
    callback = again.callback
    Checkpoint(tmp_path, progress=False, counter=again).restore()
    assert (again.n, again.callback) == (4, callback)


class Printing:
    """A logger without positions."""

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        pass

    def finalize(self) -> None:
        pass


def test_a_logger_without_positions_lowers_the_grade(tmp_path: Path) -> None:
    """Rows after the snapshot will be there twice, and the grade says so."""
    save(tmp_path, logger=Printing(), counter=Counter())
    run = Checkpoint(tmp_path, logger=Printing(), progress=False, counter=Counter())
    run.restore()
    assert run.exactness.grade == "B"
    assert "no position" in str(run.exactness)


def test_a_statistical_resume_must_be_allowed(tmp_path: Path) -> None:
    """From another device the numbers differ: refused unless asked for."""
    save(tmp_path, counter=Counter())
    saved = Snapshotter(tmp_path).load(tmp_path)
    saved["exact"]["reasons"] = [("C", "it was moved")]
    Snapshotter(tmp_path).save_itr_params(1, saved)
    run = Checkpoint(tmp_path, progress=False, counter=Counter())
    with pytest.raises(StatisticalResumeError, match="it was moved"):
        run.restore()
    assert run.restore(allow_statistical=True) == 1


def test_the_root_seed_comes_back(tmp_path: Path) -> None:
    """What is built from get_seed() later is built from the saved run's."""
    set_seed(8)
    save(tmp_path, counter=Counter())
    set_seed(9)
    Checkpoint(tmp_path, progress=False, counter=Counter()).restore()
    assert get_seed() == 8


def test_a_store_may_be_anything(tmp_path: Path) -> None:
    """One that keeps nothing makes a loop that begins at its first step each time."""
    counter = Counter()
    run = Checkpoint(tmp_path, progress=False, snapshotter=NullSnapshotStore(), counter=counter)
    assert list(run.steps(3)) == [0, 1, 2]


def test_a_durable_snapshot_can_be_copied_and_continued_elsewhere(tmp_path: Path) -> None:
    """The hook is called for each snapshot, before training continues, and a copy of the folder is a run."""
    counter, copies = Counter(), list[Path]()

    def copy(steps_done: int) -> None:
        assert counter.n == steps_done
        copies.append(tmp_path / f"copy{steps_done}")
        shutil.copytree(tmp_path / "run", copies[-1])

    for _ in Checkpoint(tmp_path / "run", progress=False, counter=counter, on_durable=copy).steps(5, every=2):
        counter.n += 1
    assert [each.name for each in copies] == ["copy0", "copy2", "copy4", "copy5"]
    (tmp_path / "run").rename(tmp_path / "gone")
    for number, folder in zip((0, 2, 4, 5), copies, strict=True):
        again = Counter()
        assert Checkpoint(folder, progress=False, counter=again).restore() == again.n == number


def test_the_hook_must_be_callable(tmp_path: Path) -> None:
    """Said before training."""
    with pytest.raises(TypeError, match="on_durable is 3; it must be a function"):
        Checkpoint(tmp_path, progress=False, counter=Counter(), on_durable=3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("name", "value"), [("n", -1), ("every", 0), ("check", -1)])
def test_counts_are_checked_where_they_are_given(tmp_path: Path, name: str, value: int) -> None:
    """Not when the loop has begun."""
    run = Checkpoint(tmp_path, progress=False, counter=Counter())
    counts: dict[str, Any] = {"n": 3, name: value}
    with pytest.raises(ValueError, match=name):
        run.steps(**counts)
