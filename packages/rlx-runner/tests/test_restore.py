"""Restoring and resuming: as if nothing had happened."""

import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rlx_protocols import NullSnapshotStore
from rlx_protocols.testing import CountingSampler, MemoryLogger, MemorySnapshotStore, SteadyPolicy
from rlx_runner import ExperimentStats, LocalRunner, StatisticalResumeError, TrainArgs, set_seed
from rlx_snapshot import SnapshotConfig

WALL_CLOCK = ("EpochTime", "TotalTime")


def rows_of(run: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return the logged rows without wall-clock values."""
    return [(step, {k: v for k, v in row.items() if k not in WALL_CLOCK}) for _, step, row in run.logger.rows]


@pytest.mark.parametrize("epoch", ["last", "first", 2])
def test_resumed_run_logs_what_an_unbroken_one_logs(make_run: Any, tmp_path: Path, epoch: Any) -> None:
    """From whichever epoch a run continues, its rows are those of the run that never stopped."""
    set_seed(3)
    unbroken = make_run("unbroken")
    unbroken.setup().train(6, batch_size=10)
    wanted = rows_of(unbroken)
    unbroken.logger.rows.clear()
    set_seed(3)
    make_run().setup().train(4, batch_size=10)
    set_seed(99)
    resumed = make_run()
    resumed.runner.restore(str(tmp_path / "run"), epoch)
    resumed.runner.resume(n_epochs=6)
    assert rows_of(resumed) == wanted


def test_restore_returns_the_saved_arguments(make_run: Any, tmp_path: Path) -> None:
    """start_epoch is the next epoch to be done."""
    make_run().setup().train(4, batch_size=10, store_episodes=True)
    args = make_run().runner.restore(str(tmp_path / "run"))
    assert args == TrainArgs(4, 10, plot=False, store_episodes=True, pause_for_plot=False, start_epoch=4)


def test_resume_takes_zero_and_false_as_values(make_run: Any, tmp_path: Path) -> None:
    """Only None means "as saved": nothing is left to train with n_epochs=0."""
    make_run().setup().train(2, batch_size=10, store_episodes=True)
    run = make_run()
    run.runner.restore(str(tmp_path / "run"))
    run.runner.resume(n_epochs=3, store_episodes=False)
    again = make_run()
    args = again.runner.restore(str(tmp_path / "run"))
    assert (args.n_epochs, args.store_episodes) == (3, False)
    assert again.runner.resume(n_epochs=0) == 15.0


def test_finished_run_resumes_to_its_value_at_once(make_run: Any, tmp_path: Path) -> None:
    """A run whose epochs are all done trains no further and returns its last average return."""
    make_run().setup().train(2, batch_size=10)
    run = make_run()
    run.runner.restore(str(tmp_path / "run"))
    rows = len(run.logger.rows)
    assert run.runner.resume() == 10.0
    assert len(run.logger.rows) == rows


def test_env_steps_and_itr_go_on(make_run: Any, tmp_path: Path) -> None:
    """Counters are those of the whole run."""
    make_run().setup().train(2, batch_size=10)
    runner = make_run().runner
    runner.restore(str(tmp_path / "run"))
    runner.resume(n_epochs=3)
    assert (runner.total_env_steps, runner.step_itr) == (30, 3)


def test_going_back_in_place_puts_later_snapshots_away(make_run: Any, tmp_path: Path) -> None:
    """The newest snapshot after going back to epoch 1 is that of epoch 1, until epoch 2 is done again."""
    make_run().setup().train(4, batch_size=10)
    make_run().runner.restore(str(tmp_path / "run"), 1)
    assert make_run().runner.restore(str(tmp_path / "run")).start_epoch == 2
    assert sorted(path.name for path in (tmp_path / "run/discarded/1").iterdir()) == [
        "itr_2.pkl",
        "itr_3.pkl",
    ]


def test_fork_leaves_the_parent_alone(make_run: Any, tmp_path: Path) -> None:
    """A run that continues in another folder takes no snapshot of its parent away."""
    make_run("parent").setup().train(4, batch_size=10)
    runner = make_run("child").runner
    runner.restore(str(tmp_path / "parent"), 1)
    runner.resume(n_epochs=3)
    assert make_run("parent").runner.restore(str(tmp_path / "parent")).start_epoch == 4
    assert make_run("child").runner.restore(str(tmp_path / "child")).start_epoch == 3


def test_fork_remembers_its_parent(make_run: Any, tmp_path: Path) -> None:
    """Folder and epoch that a run was forked from stay in its snapshots, also after a resume of its own."""
    make_run("parent").setup().train(3, batch_size=10)
    runner = make_run("child").runner
    runner.restore(str(tmp_path / "parent"), 1)
    runner.resume(n_epochs=3)
    store = MemorySnapshotStore()
    runner = make_run("child").runner
    runner.restore(str(tmp_path / "child"))
    runner._snapshots._store = store
    runner.resume(n_epochs=4)
    assert store.states[3]["exact"]["parent"] == {"folder": str(tmp_path / "parent"), "epoch": 1}


def test_fork_from_an_object_store_remembers_its_url(make_run: Any, tmp_path: Path) -> None:
    """A URL is no path below the working directory."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(1, batch_size=10)
    runner = make_run("fork", snapshotter=store).runner
    runner.restore("s3://bucket/run")
    runner.resume(n_epochs=2)
    assert store.load("", 1)["exact"]["parent"] == {"folder": "s3://bucket/run", "epoch": 0}


def test_missing_snapshot_is_a_file_not_found_error(make_run: Any, tmp_path: Path) -> None:
    """Restoring from an empty folder says what was looked for."""
    with pytest.raises(FileNotFoundError, match="empty"):
        make_run().runner.restore(str(tmp_path / "empty"))


def test_try_restore_begins_again_where_nothing_was_saved(make_run: Any, tmp_path: Path) -> None:
    """The rows of the attempt that died before its first snapshot are cut."""
    run = make_run()
    run.logger.write("info/epoch", 0, {"Total": 1.0})
    assert run.runner.try_restore(str(tmp_path / "run")) is False
    assert run.logger.rows == []


@pytest.mark.parametrize("store", [MemorySnapshotStore(), NullSnapshotStore()])
def test_try_restore_begins_where_another_store_has_nothing(make_run: Any, store: Any) -> None:
    """What a store of any kind raises where it has no snapshot is understood."""
    assert make_run(snapshotter=store).runner.try_restore("anywhere") is False


def test_try_restore_takes_over_a_saved_run(make_run: Any, tmp_path: Path) -> None:
    """Where there is a snapshot, resume continues from it."""
    make_run().setup().train(2, batch_size=10)
    runner = make_run().runner
    assert runner.try_restore(str(tmp_path / "run")) is True
    runner.resume(n_epochs=3)
    assert runner.step_itr == 3


def test_snapshot_is_a_plain_dict_with_garages_keys(make_run: Any) -> None:
    """The records are plain namespaces and names, so that only the user's own classes are needed to load one."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(1, batch_size=10)
    state = store.load("", 0)
    keys = [
        "algo",
        "env",
        "exact",
        "n_workers",
        "setup_args",
        "stats",
        "train_args",
        "worker_args",
        "worker_class",
    ]
    assert sorted(state) == keys
    assert vars(state["stats"]) == {
        "total_epoch": 0,
        "total_itr": 1,
        "total_env_steps": 10,
        "last_episode": None,
    }
    assert state["setup_args"].sampler_cls == "rlx_protocols.testing:CountingSampler"


def test_plain_pickle_loads_a_snapshot_without_rlx(make_run: Any, tmp_path: Path) -> None:
    """A snapshot of plain parts needs neither rlx-runner nor rlx-snapshot to be read."""

    class Nothing:
        def train(self, loop: Any) -> None:
            list(loop.step_epochs())

    runner = make_run(mode="last").runner
    runner.setup(Nothing(), None)
    runner.train(1)
    program = (
        "import pickle, sys\n"
        "sys.meta_path.insert(0, type('Ban', (), {'find_spec': staticmethod(lambda name, *rest: "
        "(_ for _ in ()).throw(ImportError(name)) if name.startswith('rlx') else None)})())\n"
        f"print(pickle.load(open({str(tmp_path / 'run' / 'params.pkl')!r}, 'rb'))['stats'].total_epoch)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


def test_stores_the_newest_batch_only_when_asked(make_run: Any) -> None:
    """store_episodes decides whether the snapshot holds a batch."""
    kept: list[bool] = []
    for store_episodes in (True, False):
        store = MemorySnapshotStore()
        make_run(snapshotter=store).setup().train(1, batch_size=10, store_episodes=store_episodes)
        kept.append(store.states[0]["stats"].last_episode is not None)
    assert kept == [True, False]


def test_garage_shaped_snapshot_goes_on(make_run: Any, averaging: Any) -> None:
    """Records kept as objects and without an exact part still load."""
    store = MemorySnapshotStore()
    store.states[4] = {
        "setup_args": type("Args", (), {})(),
        "train_args": TrainArgs(6, 10, plot=False, store_episodes=False, pause_for_plot=False, start_epoch=0),
        "stats": ExperimentStats(4, 5, 50, None),
        "env": None,
        "algo": averaging(),
    }
    vars(store.states[4]["setup_args"]).update(sampler_cls=CountingSampler, sampler_args=None, seed=1)
    runner = make_run(snapshotter=store).runner
    assert runner.restore("anywhere").start_epoch == 5
    runner.resume()
    assert runner.total_env_steps == 60


def test_snapshot_with_records_as_dicts_goes_on(make_run: Any) -> None:
    """So the first snapshots of this runner were."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(2, batch_size=10)
    for key in ("setup_args", "train_args", "stats"):
        store.states[1][key] = vars(store.states[1][key])
    assert make_run(snapshotter=store).runner.restore("anywhere").start_epoch == 2


def test_record_of_another_kind_is_refused(make_run: Any) -> None:
    """The message names the record."""
    store = MemorySnapshotStore()
    store.states[0] = {"setup_args": 1, "train_args": 2, "stats": 3, "env": None, "algo": None}
    with pytest.raises(ValueError, match="its setup_args is 1"):
        make_run(snapshotter=store).runner.restore("anywhere")


class LosingLogger(MemoryLogger):
    """A logger that finds less than the snapshot recorded."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Say so."""
        super().load_state_dict(state)
        warnings.warn("two rows are lost.", RuntimeWarning, stacklevel=1)


def test_lost_rows_lower_the_grade(make_run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run whose logs are not whole is not one that was never interrupted."""
    make_run(mode="last").setup().train(2, batch_size=10)
    config = SnapshotConfig(str(tmp_path / "run"), "last", 1)
    with pytest.warns(RuntimeWarning, match="two rows are lost"):
        LocalRunner(config, logger=LosingLogger()).restore(str(tmp_path / "run"))
    assert (
        "grade B (same random streams, last bits may differ): two rows are lost." in capsys.readouterr().err
    )


def test_resume_with_a_logger_after_one_without_keeps_the_earlier_rows(make_run: Any, tmp_path: Path) -> None:
    """A run that did not log says nothing of the logs that an earlier attempt wrote."""
    run = make_run()
    run.setup().train(2, batch_size=10)
    silent = LocalRunner(SnapshotConfig(str(tmp_path / "run"), "all", 1), progress=False)
    silent.restore(str(tmp_path / "run"))
    silent.resume(n_epochs=3)
    again = make_run()
    again.runner.restore(str(tmp_path / "run"))
    again.runner.resume(n_epochs=4)
    assert [step for step, _ in rows_of(again)] == [0, 1, 3]


def test_training_anew_puts_earlier_snapshots_away(make_run: Any, tmp_path: Path) -> None:
    """What is newest in the folder is always of the run that trained last."""
    make_run().setup().train(4, batch_size=10)
    make_run().setup().train(2, batch_size=10)
    names = sorted(path.name for path in (tmp_path / "run").glob("*.pkl"))
    assert names == ["itr_0.pkl", "itr_1.pkl"]
    assert len(list((tmp_path / "run" / "discarded").rglob("itr_*.pkl"))) == 4


def test_going_back_finds_its_folder_from_anywhere(
    make_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative folder is the one that it was when the runner was made."""
    make_run().setup().train(4, batch_size=10)
    monkeypatch.chdir(tmp_path)
    runner = LocalRunner(SnapshotConfig("run", "all", 1), progress=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    runner.restore(str(tmp_path / "run"), 1)
    assert sorted(path.name for path in (tmp_path / "run").glob("*.pkl")) == ["itr_0.pkl", "itr_1.pkl"]


def test_foreign_pickle_is_refused(make_run: Any) -> None:
    """A snapshot of something else names what it lacks."""
    store = MemorySnapshotStore()
    store.states[0] = {"weights": [1.0]}
    with pytest.raises(ValueError, match="lacks setup_args, train_args, stats, env, algo"):
        make_run(snapshotter=store).runner.restore("anywhere")


def test_snapshot_of_a_newer_format_is_refused(make_run: Any) -> None:
    """The error says to update, not that something is broken."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(1, batch_size=10)
    store.states[0]["exact"]["format"] = 99
    with pytest.raises(ValueError, match=r"format 99.*update rlx-runner"):
        make_run(snapshotter=store).runner.restore("anywhere")


def test_statistical_resume_is_refused_unless_allowed(make_run: Any) -> None:
    """A sampler without a state cannot continue exactly: the user decides."""

    class Stateless(CountingSampler):
        state_dict = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]

    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup(sampler_cls=Stateless).train(1, batch_size=10)
    runner = make_run(snapshotter=store).runner
    with pytest.raises(StatisticalResumeError, match="sampler has no state"):
        runner.restore("anywhere")
    assert runner.restore("anywhere", allow_statistical=True).start_epoch == 1


@dataclass(frozen=True)
class Said:
    """What a sampler says of its state."""

    grade: str
    reason: str


def test_sampler_grades_its_own_state(make_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """What the sampler said when it was saved decides how the run continues, before anything is built."""

    class Graded(CountingSampler):
        grade = "B"

        def exactness(self) -> Said:
            return Said(self.grade, "the policy has a generator of its own")

    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup(sampler_cls=Graded).train(1, batch_size=10)
    LocalRunner(snapshotter=store).restore("anywhere")
    said = capsys.readouterr().err
    assert "grade B" in said
    assert "a generator of its own" in said
    Graded.grade = "C"
    make_run(snapshotter=store).setup(sampler_cls=Graded).train(1, batch_size=10)
    with pytest.raises(StatisticalResumeError, match="a generator of its own"):
        make_run(snapshotter=store).runner.restore("anywhere")


def test_what_the_sampler_finds_after_a_restore_lowers_the_grade(
    make_run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """It compares itself with the process that saved when it samples, which is after the grade was first told."""

    class Graded(CountingSampler):
        grade = "A"

        def exactness(self) -> Said:
            return Said(self.grade, "rewards differ from those of the process that saved")

    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup(sampler_cls=Graded).train(1, batch_size=10)
    runner = LocalRunner(snapshotter=store)
    runner.restore("anywhere")
    assert runner.exactness.grade == "A"
    Graded.grade = "C"
    runner.resume(n_epochs=3)
    assert runner.exactness.grade == "C"
    assert capsys.readouterr().err.count("continues less exactly: grade C") == 1


class ExploringPolicy(SteadyPolicy):
    """Explores less and less, by a number that its workers are told of, or not."""

    epsilon = 1.0

    def __init__(self, *, told: bool) -> None:
        super().__init__()
        self.told = told

    def get_param_values(self) -> dict[str, Any]:
        return super().get_param_values() | ({"epsilon": self.epsilon} if self.told else {})

    def set_param_values(self, values: Mapping[str, Any], /) -> None:
        super().set_param_values(values)
        self.epsilon = values.get("epsilon", self.epsilon)


@pytest.mark.parametrize(("told", "grade"), [(True, "grade A"), (False, "grade B")])
def test_what_does_not_travel_with_the_parameters_lowers_the_grade(
    make_run: Any, averaging: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], told: bool, grade: str
) -> None:
    """Workers kept the first value, and those of a resumed run begin with the present one."""

    class Graded(CountingSampler):
        def exactness(self) -> Any:
            return Said("A", "keyed")

    policy = ExploringPolicy(told=told)

    def explore_less(epoch: int) -> None:
        policy.epsilon = 0.5**epoch / 2

    algo = averaging(on_epoch=explore_less)
    algo.policy = policy
    make_run().setup(algo, sampler_cls=Graded).train(2, batch_size=10)
    runner = LocalRunner(SnapshotConfig(str(tmp_path / "run"), "all", 1), progress=True)
    runner.restore(str(tmp_path / "run"))
    said = capsys.readouterr().err
    assert grade in said
    assert ("the policy's epsilon changed" in said) != told


def test_sampler_that_refuses_the_state_needs_permission(make_run: Any) -> None:
    """A sampler with live workers says that another number of workers cannot continue exactly."""

    class Strict(CountingSampler):
        def load_state_dict(self, state: Any, /) -> None:
            raise ValueError("the state has 2 workers, this sampler 3")

    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup().train(1, batch_size=10)
    runner = make_run(snapshotter=store).runner
    runner.restore("anywhere", sampler_cls=Strict)
    with pytest.raises(StatisticalResumeError, match="2 workers, this sampler 3"):
        runner.resume(n_epochs=2)
    runner.restore("anywhere", sampler_cls=Strict, allow_statistical=True)
    runner.resume(n_epochs=2)
    assert runner.total_env_steps == 20


def test_restore_changes_the_sampler_where_asked(make_run: Any) -> None:
    """The number of workers may differ from the saved run's; the rest stays."""
    store = MemorySnapshotStore()
    make_run(snapshotter=store).setup(n_workers=2).train(1, batch_size=10)
    runner = make_run(snapshotter=store).runner
    runner.restore("anywhere", n_workers=3)
    runner.resume(n_epochs=2)
    assert store.states[1]["n_workers"] == 3
    assert store.states[1]["setup_args"] == store.states[0]["setup_args"]


def test_mode_none_saves_nothing(make_run: Any, tmp_path: Path) -> None:
    """Without snapshots there are no files, and restoring says so."""
    make_run(mode="none").setup().train(2, batch_size=10)
    with pytest.raises(FileNotFoundError, match="run"):
        make_run().runner.restore(str(tmp_path / "run"))


def test_killed_process_goes_on_bit_for_bit(tmp_path: Path) -> None:
    """A process killed with SIGKILL right after its fourth epoch resumes to the unbroken run's end."""
    program = Path(__file__).with_name("killed_run.py")

    def start(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONHASHSEED": str(len(arguments) * 17)}
        command = [sys.executable, str(program), str(tmp_path / folder), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False, timeout=60
        )

    unbroken = start("unbroken")
    killed = start("killed", "--kill-after", "4")
    assert killed.returncode == -9, killed.stderr
    resumed = start("killed")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == unbroken.stdout


def test_records_pickle() -> None:
    """The records travel."""
    stats = ExperimentStats(1, 2, 3, None)
    assert pickle.loads(pickle.dumps(stats)) == stats


def test_default_configuration_is_made_when_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configuration the folder below the working directory of the call is used."""
    monkeypatch.chdir(tmp_path)
    LocalRunner(progress=False)
    assert (tmp_path / "data/local/experiment").is_dir()
