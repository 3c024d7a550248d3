"""Filters, order and columns of lists, and what removes runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_experiment._cli import main
from rlx_experiment._lock import RunLock
from rlx_experiment._reports.selecting import Condition


@wrap_experiment(name_parameters="passed")
def train(ctxt: ExperimentContext, *, seed: int = 0, lr: float = 0.1, env: str = "Hopper-v5") -> None:
    """Log a return, and fail for one seed."""
    Path(ctxt.snapshot_dir, "progress.csv").write_text(f"epoch,AverageReturn\n0,{seed * lr}\n")
    if seed == 3:
        raise RuntimeError("diverged\nbadly")


@pytest.fixture
def runs() -> Path:
    """A folder with a failed run and three finished ones."""
    for seed, lr in ((1, 0.01), (2, 0.01), (1, 0.1)):
        train(seed=seed, lr=lr)
    with pytest.raises(RuntimeError, match="diverged"):
        train(seed=3, lr=0.01)
    return Path("data/local/experiment")


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    """Return the names that the list has with `options`."""
    assert main(["list", *options]) == 0
    return [line.split()[0].rpartition("/")[2] for line in capsys.readouterr().out.splitlines()[1:]]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--where", "lr=0.1"], ["train_seed=1_lr=0.1"]),
        (["--where", "lr=1e-1"], ["train_seed=1_lr=0.1"]),
        (["--where", "lr=0.01", "--where", "seed>1"], ["train_seed=2_lr=0.01", "train_seed=3_lr=0.01"]),
        (["--state", "failed", "--where", "lr=0.01"], ["train_seed=3_lr=0.01"]),
        (["--where", "lr!=0.01"], ["train_seed=1_lr=0.1"]),
        (["--where", "env=Hopper-v5", "--where", "seed<=1", "--where", "lr<0.1"], ["train_seed=1_lr=0.01"]),
    ],
)
@pytest.mark.usefixtures("runs")
def test_filters(options: list[str], names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """States and conditions choose together, numbers by their value."""
    assert listed(capsys, *options) == names


@pytest.mark.usefixtures("runs")
def test_sorts_by_any_column(capsys: pytest.CaptureFixture[str]) -> None:
    """By an argument or a metric, shown or not, numbers by their size."""
    by_lr = listed(capsys, "--sort", "lr", "--reverse")
    assert by_lr[0] == "train_seed=1_lr=0.1"
    by_return = listed(capsys, "--sort", "AverageReturn")
    assert by_return[0] == "train_seed=1_lr=0.01"
    assert by_return[-1] == "train_seed=1_lr=0.1"
    assert main(["list", "--sort", "speed"]) == 1
    assert "no run has an argument 'speed' (there are: env, lr, seed)" in capsys.readouterr().err


@pytest.mark.usefixtures("runs")
def test_chosen_columns_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments and last values of metrics stand where they are asked for; a failed run has its error's first line."""
    assert main(["list", "--column", "seed", "--column", "AverageReturn"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[-3:] == ["seed", "AverageReturn", "ERROR"]
    assert lines[-1].split()[-4:] == ["3", "0.03", "RuntimeError:", "diverged"]
    assert main(["list", "--json", "--column", "AverageReturn", "--where", "seed=2"]) == 0
    assert json.loads(capsys.readouterr().out)["columns"] == {"AverageReturn": "0.02"}


@pytest.mark.usefixtures("runs")
def test_what_matches_nothing_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """The values that would match, and the arguments that there are."""
    assert main(["list", "--where", "lr=0.5"]) == 0
    expected = "no runs with lr=0.5 in data/local; of 4 runs, lr is 0.01 (3), 0.1 (1)\n"
    assert capsys.readouterr().out == expected
    assert main(["list", "--where", "learning_rate=0.5"]) == 1
    assert "no run has an argument 'learning_rate'; there are: env, lr, seed" in capsys.readouterr().err
    assert main(["list", "--where", "lr"]) == 1
    assert "it must be like lr=0.01" in capsys.readouterr().err


def test_conditions_are_parsed_with_their_sign() -> None:
    """The longest sign counts, and values may hold signs."""
    assert Condition.parse("lr >= 0.1") == ("lr", ">=", "0.1")
    assert Condition.parse("name=a=b") == ("name", "=", "a=b")


class TestRemoval:
    def test_a_dry_run_is_the_default(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Without an answer nothing goes, and the list says what would."""
        assert main(["rm", "--state", "failed"]) == 0
        out = capsys.readouterr().out
        assert f"remove: {(runs / 'train_seed=3_lr=0.01').absolute()} (failed, " in out
        assert out.endswith("nothing was changed; add --yes to do it\n")
        assert len(list(runs.iterdir())) == 4

    @pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
    def test_at_a_terminal_the_default_answer_is_no(self, runs: Path) -> None:
        """Enter alone changes nothing; a yes does."""
        assert "remove 1 run, " in at_a_terminal("\n")
        assert len(list(runs.iterdir())) == 4
        assert "removed: 1 run, " in at_a_terminal("y\n")
        assert len(list(runs.iterdir())) == 3

    def test_removes_what_is_chosen(self, runs: Path) -> None:
        """With --yes the chosen runs are gone, and no other, nor anything else."""
        (runs / "notes.txt").write_text("kept")
        assert main(["rm", "--where", "lr=0.01", "--yes"]) == 0
        assert sorted(path.name for path in runs.iterdir()) == ["notes.txt", "train_seed=1_lr=0.1"]

    def test_needs_a_choice(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A folder alone is not taken for all that is in it."""
        assert main(["rm", str(runs), "--yes"]) == 1
        assert "say which runs" in capsys.readouterr().err
        assert main(["rm", str(runs / "train_seed=1_lr=0.1"), "--yes"]) == 0
        assert main(["rm", str(runs), "--all", "--yes"]) == 0
        assert not list(runs.glob("train*"))

    def test_a_live_run_stays(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One that runs, and one with a run inside of it that does, are named and left."""
        live = RunLock(runs / "train_seed=1_lr=0.1")
        train({"log_dir": str(runs / "train_seed=1_lr=0.01" / "inner")}, seed=1)
        inner = RunLock(runs / "train_seed=1_lr=0.01" / "inner")
        assert main(["rm", "--all", "--yes"]) == 0
        out = capsys.readouterr().out
        assert "(it is running)" in out
        assert "(a run inside of it is running)" in out
        assert sorted(path.name for path in runs.iterdir()) == ["train_seed=1_lr=0.01", "train_seed=1_lr=0.1"]
        live.close()
        inner.close()

    @pytest.mark.skipif(os.name == "nt", reason="links need rights")
    def test_links_are_not_followed(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """What a link in a run leads to stays, and so does a run that a link leads to, and one whose lock is a link."""
        outside = Path("outside")
        train({"log_dir": str(outside)}, seed=1)
        (runs / "train_seed=2_lr=0.01" / "link").symlink_to(outside.absolute())
        (runs / "linked").symlink_to(outside.absolute())
        lock = runs / "train_seed=1_lr=0.1" / "run.lock"
        lock.unlink()
        lock.symlink_to(Path("precious").absolute())
        assert main(["rm", "--all", "--yes"]) == 0
        assert "run.lock in it is a link" in capsys.readouterr().out
        assert (outside / "arguments.json").exists()
        assert not Path("precious").exists()
        assert sorted(path.name for path in runs.iterdir()) == ["linked", "train_seed=1_lr=0.1"]
        assert main(["rm", str(runs / "linked"), "--yes"]) == 1
        assert "is a link" in capsys.readouterr().err
        assert (outside / "arguments.json").exists()

    def test_archives(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Archived runs leave the lists and are whole in their new place; a name that is taken gets a number."""
        assert main(["archive", "--state", "failed", "--yes"]) == 0
        moved = Path("data/local/.archive/experiment/train_seed=3_lr=0.01")
        assert (moved / "progress.csv").exists()
        capsys.readouterr()
        assert len(listed(capsys)) == 3
        assert main(["list", "data/local/.archive"]) == 0
        with pytest.raises(RuntimeError, match="diverged"):
            train(seed=3, lr=0.01)
        assert main(["archive", "--state", "failed", "--yes"]) == 0
        assert moved.with_name(f"{moved.name}_1").is_dir()
        assert not (runs / moved.name).exists()

    def test_json_is_for_programs(self, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """One object a run, and nothing else on standard output."""
        assert main(["rm", "--state", "failed", "--json"]) == 0
        record = json.loads(capsys.readouterr().out)
        assert (record["state"], record["stays"]) == ("failed", None)
        assert main(["table", "--json"]) == 0
        table = json.loads(capsys.readouterr().out)
        assert [group["counted"] for group in table["groups"]] == [2, 1]
        assert len(list(runs.iterdir())) == 4


def at_a_terminal(answer: str) -> str:
    """Return what `rm --state failed` shows to somebody who types `answer`."""
    ours, theirs = os.openpty()
    command = (sys.executable, "-m", "rlx_experiment", "rm", "--state", "failed")
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        os.write(ours, answer.encode())
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # how Linux says that the other end is closed
            pass
    os.close(ours)
    return shown.decode()
