"""Resuming and rerunning recorded runs."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import Run

pytestmark = pytest.mark.processes

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]

SCRIPT = """
import pickle
from pathlib import Path
from rlx_experiment import wrap_experiment
from helper import WORD

class Point:
    pass

@wrap_experiment(log_dir="run", snapshot_mode="gap", snapshot_gap=2)
def exp(ctxt, seed, sizes=(1, 2), scale=1.0):
    Path("here.txt").touch()
    state = Path(ctxt.snapshot_dir, "state.pkl")
    if state.exists():
        assert type(pickle.loads(state.read_bytes())) is Point
    state.write_bytes(pickle.dumps(Point()))
    note = [seed, sizes, scale, WORD, ctxt.resuming, ctxt.snapshot_gap, Path(__file__).name]
    Path(ctxt.snapshot_dir, "note.txt").write_text(repr(note))

if __name__ == "__main__":
    Path("main.txt").touch()
    exp(seed=7)
"""


@pytest.fixture
def run(git: Git, run_script: RunScript) -> Run:
    """A finished run of a script in a dirty repository, whose main part has left a mark."""
    Path("helper.py").write_text("WORD = 'committed'")
    git("add", ".")
    git("commit", "-qm", "x")
    Path("helper.py").write_text("WORD = 'launched'")
    result = run_script(SCRIPT)
    assert result.returncode == 0, result.stderr
    Path("main.txt").unlink()
    return Run.open("run")


def note(folder: str) -> str:
    """Return what the run in `folder` noted."""
    return Path(folder, "note.txt").read_text()


def test_resume_goes_on_in_the_same_folder(run: Run) -> None:
    """Arguments and snapshot options are those recorded, classes of the script are themselves, its main part rests."""
    assert run.resume() == 0
    assert note("run") == "[7, (1, 2), 1.0, 'launched', True, 2, 'script.py']"
    assert not Path("main.txt").exists()
    assert [event["event"] for event in run.attempts] == ["start", "end"] * 2


def test_resume_runs_the_code_as_it_is_now(run: Run) -> None:
    """A repaired program continues."""
    Path("helper.py").write_text("WORD = 'mended'")  # of another length: Python's cache goes by time and size
    assert run.resume() == 0
    assert "'mended'" in note("run")


def test_resume_knows_the_script_that_launched_an_imported_experiment(
    git: Git, run_script: RunScript
) -> None:
    """The process that resumes is no launcher; the repository stays that of the one that was."""
    Path("training.py").write_text(
        "from rlx_experiment import wrap_experiment\n@wrap_experiment(log_dir='run')\ndef train(ctxt): pass\n"
    )
    git("add", ".")
    git("commit", "-qm", "x")
    result = run_script("from training import train\ntrain()\n")
    assert result.returncode == 0, result.stderr
    assert Run.open("run").resume() == 0
    metadata = Run.open("run").metadata
    assert (metadata["launcher"], metadata["githash"]) == ("script.py", git("rev-parse", "HEAD") + "-dirty")


def test_rerun_runs_the_code_as_it_was(run: Run) -> None:
    """The uncommitted state of the launch runs again in a new folder, though all of it changed since."""
    Path("helper.py").unlink()
    Path("script.py").write_text("broken (")
    before = note("run")
    assert run.rerun() == 0
    assert note("run") == before
    assert note("run_1") == before
    again = Run.open("run_1")
    assert (again.variant, again.arguments) == (run.variant, run.arguments)
    assert again.metadata["githash"] == run.metadata["githash"]
    assert (again.path / "launch_archive.tar.xz").read_bytes() == (
        run.path / "launch_archive.tar.xz"
    ).read_bytes()


def test_a_rerun_can_be_rerun(run: Run) -> None:
    """The new run is as whole as the first."""
    assert run.rerun("second") == 0
    assert Run.open("second").rerun("third") == 0
    assert note("third") == note("run")


def test_rerun_keeps_a_tree_where_asked(run: Run, tmp_path: Path) -> None:
    """The rebuilt tree stays, and the run worked in it."""
    run.rerun(tree=tmp_path / "tree")
    assert (tmp_path / "tree" / "helper.py").read_text() == "WORD = 'launched'"
    assert (tmp_path / "tree" / "here.txt").exists()


def test_without_source_there_is_no_rerun(run_script: RunScript) -> None:
    """A run outside of a repository says why it cannot be rerun; it can be resumed."""
    Path("helper.py").write_text("WORD = 'x'")
    run_script(SCRIPT)
    run = Run.open("run")
    with pytest.raises(FileNotFoundError, match="archive_launch_repo"):
        run.rerun()
    assert run.resume() == 0


def test_an_experiment_that_is_gone(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A launcher without the experiment is an error that names both."""
    Path("script.py").write_text("")
    assert run.resume() == 1
    assert "has no experiment 'exp'" in capfd.readouterr().err


def test_arguments_without_json_form_are_pickled(run_script: RunScript) -> None:
    """A function as argument comes back as a function."""
    script = """
        from pathlib import Path
        from rlx_experiment import wrap_experiment

        @wrap_experiment(log_dir="run")
        def exp(ctxt, f):
            Path(ctxt.snapshot_dir, "note.txt").write_text(str(f(2)))

        if __name__ == "__main__":
            exp(f=lambda x: x + 1)
    """
    run_script(script)
    Path("run/note.txt").unlink()
    assert Run.open("run").resume() == 0
    assert note("run") == "3"
    assert "$function" in json.loads(Path("run/arguments.json").read_text())["f"]


def test_a_launcher_that_is_gone_is_named(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Without the script nothing resumes, which one line says; the code that was kept still reruns."""
    Path("script.py").unlink()
    assert run.resume() == 1
    error = capfd.readouterr().err
    assert error.startswith("error: ")
    assert "script.py, where the run's experiment was, is no file now; put it back, or rerun" in error
    assert len(error.splitlines()) == 1
    assert run.rerun() == 0
