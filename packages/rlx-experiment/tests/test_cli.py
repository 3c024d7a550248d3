"""The command `rlx-experiment`."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import ExperimentContext, Run, wrap_experiment
from rlx_experiment._cli import main
from rlx_experiment._lock import RunLock
from rlx_experiment._reports.groups import meaning_of_scores
from rlx_experiment._runs.index import find_runs

pytestmark = pytest.mark.processes

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@wrap_experiment(name_parameters="all")
def train(ctxt: ExperimentContext, seed: int = 0, lr: float = 0.1, fail: bool = False) -> None:
    """Log a return that depends on the learning rate."""
    rows = "".join(f"{epoch},{epoch * lr + seed}\n" for epoch in range(20))
    Path(ctxt.snapshot_dir, "progress.csv").write_text("epoch,AverageReturn\n" + rows)
    if fail:
        raise RuntimeError("diverged")


def make_old(folder: Path) -> None:
    """Let a run have ended long ago."""
    for path in (*folder.iterdir(), folder):
        os.utime(path, ns=(0, 0))


def run_all() -> None:
    """Run three seeds of each of two learning rates, and one that fails."""
    for lr in (0.1, 0.2):
        for seed in range(3):
            train(seed=seed, lr=lr)
    with pytest.raises(RuntimeError, match="diverged"):
        train(fail=True)


class TestList:
    def test_shows_state_and_what_differs(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each run has its line, with its state and the arguments in which runs differ."""
        run_all()
        assert main(["list"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 8
        assert sum("failed" in line for line in lines) == 1
        assert "seed=2, lr=0.2, fail=false" in lines[6]

    def test_filters_and_writes_json(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Programs get one JSON object a run, of the states they ask for."""
        run_all()
        main(["list", "--json", "--state", "failed"])
        (record,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert (record["state"], record["arguments"]["fail"]) == ("failed", True)
        assert record["error"] == "RuntimeError: diverged"

    def test_a_state_that_does_not_exist_is_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A slip of the pen is not answered by silence, and neither is a state that no run is in."""
        with pytest.raises(SystemExit, match="2"):
            main(["list", "--state", "broken"])
        assert "'crashed', 'damaged', 'failed'" in capsys.readouterr().err
        train()
        main(["list", "--state", "crashed"])
        assert capsys.readouterr().out == (
            "no crashed runs in data/local; of 1 runs, their states are finished (1)\n"
        )

    def test_a_run_that_cannot_be_read_hides_no_other(self, capsys: pytest.CaptureFixture[str]) -> None:
        """It is listed with what is wrong."""
        run_all()
        Path("data/local/strange/arguments.json").mkdir(parents=True)
        assert main(["list", "--json"]) == 0
        records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert len(records) == 8
        (strange,) = [record for record in records if record["state"] == "damaged"]
        assert "Is a directory" in strange["error"]

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="all folders are open to root")
    def test_a_folder_that_is_closed_hides_no_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        """What lies in the folder of somebody else is theirs."""
        run_all()
        Path("data/local/theirs").mkdir(mode=0)
        assert main(["list"]) == 0
        assert len(capsys.readouterr().out.splitlines()) == 8

    def test_an_empty_folder_says_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        """No runs is an answer, no folder an error."""
        assert main(["list", "."]) == 0
        assert "no runs" in capsys.readouterr().out
        assert main(["list", "nowhere"]) == 1
        assert "nowhere" in capsys.readouterr().err

    def test_what_is_remembered_is_never_stale(self) -> None:
        """A run that continues, ends otherwise or is removed is seen, though the index knew it as ended."""
        train()
        train(seed=1)
        folder = find_runs("data")[0].path
        make_old(folder)
        assert [run.state for run in find_runs("data")] == ["finished", "finished"]
        assert str(folder) in Path("data/.rlx-index.json").read_text()
        with pytest.raises(RuntimeError, match="diverged"):
            train({"log_dir": str(folder), "use_existing_dir": True}, fail=True)
        assert sorted(run.state for run in find_runs("data")) == ["failed", "finished"]
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        assert [run.state for run in find_runs("data")] == ["finished"]

    def test_a_run_that_has_just_changed_is_not_remembered(self) -> None:
        """What changes within one tick of a file system's clock could not be told apart."""
        train()
        find_runs("data")
        assert not Path("data/.rlx-index.json").exists()

    def test_a_clock_that_goes_backwards(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A run that ends before it starts took no time."""
        train()
        status = find_runs("data")[0].path / "status.json"
        record = json.loads(status.read_text())
        status.write_text(json.dumps({**record, "ended": "2001-01-01T00:00:00+00:00"}))
        main(["list"])
        assert "0:00:00" in capsys.readouterr().out

    def test_a_live_run_is_not_remembered(self) -> None:
        """A run that was running when listed shows its later state."""
        train()
        folder = find_runs("data", remember=False)[0].path
        os.utime(folder, ns=(0, 0))
        record = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps({**record, "state": "running"}))
        lock = RunLock(folder)
        assert find_runs("data")[0].state == "running"
        lock.close()
        assert find_runs("data")[0].state == "crashed"

    def test_a_damaged_index_is_ignored(self) -> None:
        """The index is only a memory."""
        train()
        os.utime(find_runs("data")[0].path, ns=(0, 0))
        find_runs("data")
        Path("data/.rlx-index.json").write_text("{")
        assert len(find_runs("data")) == 1


class TestShowAndDiff:
    def test_show(self, capsys: pytest.CaptureFixture[str]) -> None:
        """One run with its state, arguments and files."""
        train(seed=4)
        assert Run(str(find_runs("data")[0].path)).status.state == "finished"
        main(["show", str(find_runs("data")[0].path)])
        text = capsys.readouterr().out
        for part in ("test_cli.py:train", "state       finished", "seed  4", "progress.csv"):
            assert part in text

    def test_diff_of_arguments(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Two runs differ in what differs, and in nothing else."""
        train()
        train(lr=0.5)
        first, second = (str(run.path) for run in find_runs("data"))
        main(["diff", first, second])
        assert capsys.readouterr().out.splitlines()[1:] == ["argument  lr    0.1  0.5"]
        main(["diff", first, first])
        assert capsys.readouterr().out == "no difference\n"

    def test_diff_of_code(self, git: Git, run_script: RunScript, capsys: pytest.CaptureFixture[str]) -> None:
        """Files that changed between two launches are named."""
        script = """
            from rlx_experiment import wrap_experiment
            @wrap_experiment(log_dir="runs/a")
            def exp(ctxt): pass
            exp()
        """
        Path("gone.py").touch()
        run_script(script)
        Path("gone.py").unlink()
        Path("new.py").touch()
        run_script(script.replace("pass", "return None"))
        main(["diff", "runs/a", "runs/a_1"])
        lines = {tuple(line.split()) for line in capsys.readouterr().out.splitlines()}
        assert {
            ("file", "gone.py", "removed"),
            ("file", "new.py", "added"),
            ("file", "script.py", "changed"),
        } <= lines

    def test_a_missing_run_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A folder without a run exits with 1 and is named."""
        assert main(["show", "nowhere"]) == 1
        assert "nowhere" in capsys.readouterr().err


class TestTable:
    def test_takes_seeds_together(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Each setting has its interquartile mean over seeds and an interval around it."""
        run_all()
        assert main(["table"]) == 0
        text = capsys.readouterr().out
        assert "IQM AverageReturn" in text
        (line,) = (line for line in text.splitlines() if line.startswith("lr=0.2"))
        assert line.split()[2:4] == ["3", "3.900"]

    def test_settings_are_in_the_order_of_their_values(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Numbers as numbers, whichever run began first; and what a final score is, is said."""
        for lr in (10.0, 9.0, 0.5):
            train(lr=lr)
        main(["table"])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines[1:4]] == ["lr=0.5", "lr=9.0", "lr=10.0"]
        assert lines[4:] == [meaning_of_scores()]

    def test_no_runs_are_an_answer(self, capsys: pytest.CaptureFixture[str]) -> None:
        """An empty folder has neither scores nor a page."""
        Path("empty").mkdir()
        for command in (["table", "empty"], ["report", "empty"]):
            assert main(command) == 0
            assert capsys.readouterr().out == "no runs in empty\n"
        assert not Path("report.html").exists()

    def test_takes_tasks_together(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Arguments given as --over are strata of one group."""
        for lr in (0.1, 0.2):
            train(lr=lr)
        main(["table", "--over", "lr"])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[1] for line in lines[1:-1]] == ["2"]

    def test_an_unknown_metric_lists_the_known(self, capsys: pytest.CaptureFixture[str]) -> None:
        """The error names what there is to choose from."""
        train()
        assert main(["table", "--metric", "entropy"]) == 1
        assert "AverageReturn" in capsys.readouterr().err


class TestGc:
    def test_removes_what_no_run_needs(
        self, git: Git, run_script: RunScript, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Archives without a run and folders of dead launches go, when asked to; the rest stays."""
        script = "from rlx_experiment import wrap_experiment\n@wrap_experiment\ndef exp(ctxt): pass\nexp()\n"
        run_script(script)
        run_script(script + "# changed\n")
        gone, kept = Path("data/local/experiment/exp"), Path("data/local/experiment/exp_1")
        for path in gone.iterdir():
            path.unlink()
        gone.rmdir()
        nursery = Path("data/local/experiment/.exp.1.ab.tmp")
        nursery.mkdir()
        assert main(["gc"]) == 0
        assert nursery.exists()
        main(["gc", "--remove"])
        assert not nursery.exists()
        (archive,) = Path("data/local/.source").glob("*.tar.xz")
        assert archive.samefile(kept / "launch_archive.tar.xz")
        assert len(list(Path("data/local/.source").glob("*.json"))) == 1
        capsys.readouterr()
        main(["gc"])
        assert capsys.readouterr().out == "nothing to remove in data/local\n"


def test_gc_leaves_a_live_run_its_temporary_files(capsys: pytest.CaptureFixture[str]) -> None:
    """What a run is writing is no garbage; what a dead one left is."""
    train()
    (folder,) = Path("data/local/experiment").iterdir()
    (folder / ".status.json.1.ab.tmp").touch()
    lock = RunLock(folder)
    main(["gc"])
    assert ".tmp" not in capsys.readouterr().out
    lock.close()
    main(["gc"])
    assert ".status.json.1.ab.tmp" in capsys.readouterr().out


def test_resume_and_rerun(git: Git, run_script: RunScript) -> None:
    """Both commands run the experiment and pass its exit code on."""
    script = """
        from rlx_experiment import wrap_experiment
        @wrap_experiment(log_dir="run")
        def exp(ctxt): pass
        if __name__ == "__main__":
            exp()
    """
    run_script(script)
    assert main(["resume", "run"]) == 0
    assert main(["rerun", "run", "--log-dir", "again"]) == 0
    assert Run.open("run").status.attempt == 2
    assert Run.open("again").status.state == "finished"


COMMANDS = [
    "", "archive", "diff", "gc", "history", "list", "report", "rerun", "resume", "rm", "show", "table",
    "verify-resume",
]  # fmt: skip


@pytest.mark.parametrize("width", [44, 80, 120])
def test_help_fits_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line of any help text is wider than the terminal, and every command has one."""
    monkeypatch.setenv("COLUMNS", str(width))
    for command in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([*command.split(), "--help"])
        text = capsys.readouterr().out
        assert max(map(len, text.splitlines())) <= width, text
        assert command or all(f"\n    {name}" in text for name in COMMANDS[1:])
