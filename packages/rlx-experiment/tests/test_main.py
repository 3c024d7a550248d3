"""The command line of an experiment, in processes of its own."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import Run

pytestmark = pytest.mark.processes

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]
pytest.importorskip("tyro")

TRAINER = '''
import sys
import time
from typing import TYPE_CHECKING, Annotated, Literal
from annotated_types import Ge
from rlx_experiment import wrap_experiment
if TYPE_CHECKING:
    from rlx_experiment import ExperimentContext


@wrap_experiment
def train(ctxt: "ExperimentContext", n_epochs: Annotated[int, Ge(1)] = 3, *, seed: int = 0, sampler: Literal["local", "ray"] = "local",
          widths: tuple[int, ...] = (64, 64)) -> None:
    """Count epochs.

    Args:
        n_epochs: Epochs in all.
        seed: Root of all randomness.
    """
    print("resuming" if ctxt.resuming else "new", n_epochs, seed, sampler, widths, flush=True)
    for epoch in range(n_epochs):
        if ctxt.stop_requested and "deaf" not in sys.argv[0]:
            return
        time.sleep(0.01)


if __name__ == "__main__":
    train.main()
'''


def names() -> list[str]:
    """Return what lies in the working folder, sorted."""
    return sorted(path.name for path in Path().iterdir())


def start(*argv: str, name: str = "script.py") -> "subprocess.Popen[str]":
    """Start the trainer and wait until its function runs."""
    Path(name).write_text(TRAINER)
    process = subprocess.Popen(
        (sys.executable, name, *argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith(("new", "resuming"))
    return process


class TestOptions:
    def test_help_explains_every_option(self, run_script: RunScript) -> None:
        """Help shows the function's parameters with their documentation, and the built-in options."""
        text = run_script(TRAINER, "--help").stdout
        for part in ("--n-epochs INT", "Epochs in all.", "--sampler {local,ray}", "--log-dir DIR", "--snapshot-mode",
                     "--snapshot-gap INT", "--resume"):  # fmt: skip
            assert part in text

    def test_arguments_have_their_types(self, run_script: RunScript) -> None:
        """Values arrive as the signature declares them, and are recorded."""
        result = run_script(
            TRAINER, "--n-epochs", "1", "--sampler", "ray", "--widths", "1", "2", "--log-dir", "run"
        )
        assert (result.returncode, result.stdout) == (0, "new 1 0 ray (1, 2)\n")
        run = Run.open("run")
        assert run.variant == {"n_epochs": 1, "sampler": "ray", "widths": [1, 2]}
        assert run.arguments["seed"] == 0

    @pytest.mark.parametrize(
        ("argv", "named"),
        [
            (("--seed", "zero"), "'zero'"),
            (("--sampler", "moon"), "moon"),
            (("--sed", "1"), "--sed"),
            (("--snapshot-mode", "some"), "some"),
            (("--snapshot-gap", "0"), "0"),
            (("--log-dir",), "--log-dir"),
            (("--seed", "-1"), "seed is -1; it must be from 0 to 4294967295"),
            (("--seed", "4294967296"), "is 4294967296;"),
            (("--n-epochs", "0"), "n_epochs is 0; it must be at least 1"),
        ],
    )
    def test_usage_errors(self, run_script: RunScript, argv: tuple[str, ...], named: str) -> None:
        """A wrong option or value exits with 2, names it, and writes nothing."""
        result = run_script(TRAINER, *argv)
        assert result.returncode == 2
        assert named in result.stderr
        assert names() == ["script.py"]

    def test_an_error_exits_with_1(self, run_script: RunScript) -> None:
        """An exception of the function shows its traceback, says how to continue, and exits with 1."""
        result = run_script(
            TRAINER.replace("for epoch", "raise RuntimeError('lost')\n    for epoch"), "--log-dir", "run"
        )
        assert result.returncode == 1
        assert "RuntimeError: lost\nThe run is kept as failed; to continue it: " in result.stderr
        assert Run.open("run").status.state == "failed"

    def test_the_traceback_is_that_of_the_experiment(self, run_script: RunScript) -> None:
        """How the function was reached is nothing to look through."""
        result = run_script(TRAINER.replace("for epoch", "raise RuntimeError('lost')\n    for epoch"))
        files = [line.split('"')[1] for line in result.stderr.splitlines() if line.startswith("  File ")]
        script = str(Path("script.py").absolute())
        assert (files[0], files[-1]) == (script, script)
        assert len(files) <= 4

    def test_a_folder_that_cannot_be_made_is_named(self, run_script: RunScript) -> None:
        """What keeps a run from being launched is said in one line, and the exit code is 1."""
        Path("taken").touch()
        result = run_script(TRAINER, "--log-dir", "taken/run")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith(f"error: the run was not started in {Path('taken/run').absolute()}: ")
        assert "taken is a file; choose another log_dir" in result.stderr
        assert len(result.stderr.splitlines()) == 1

    def test_an_annotation_for_type_checkers_only_is_named(self, run_script: RunScript) -> None:
        """A parameter whose type cannot be evaluated is a usage error of the script, not a traceback."""
        result = run_script(TRAINER.replace("seed: int", 'seed: "Seed"'))
        assert result.returncode == 2
        assert "name 'Seed' is not defined; import what it names where the program runs" in result.stderr

    def test_a_parameter_may_not_hide_a_built_in_option(self, run_script: RunScript) -> None:
        """A parameter called like a built-in option is an error that names it."""
        result = run_script(TRAINER.replace("seed: int", "resume: int").replace(" seed,", " resume,"))
        assert result.returncode == 2
        assert "parameter 'resume'" in result.stderr


class TestFolders:
    def test_without_resume_an_existing_folder_is_left_alone(self, run_script: RunScript) -> None:
        """A second run in the same --log-dir gets the next number."""
        run_script(TRAINER, "--log-dir", "run")
        run_script(TRAINER, "--log-dir", "run")
        assert names() == ["run", "run_1", "script.py"]

    def test_resume_takes_recorded_arguments(self, run_script: RunScript) -> None:
        """With --resume, arguments not given again are those of the record, snapshot options included."""
        first = ("--seed", "7", "--widths", "5", "--snapshot-mode", "gap", "--snapshot-gap", "4")
        run_script(TRAINER, *first, "--log-dir", "run")
        result = run_script(TRAINER, "--log-dir", "run", "--resume", "--n-epochs", "4")
        assert result.stdout == "resuming 4 7 local (5,)\n"
        record = json.loads(Path("run/arguments.json").read_text())
        assert (record["$run"]["snapshot_mode"], record["$run"]["snapshot_gap"]) == ("gap", 4)
        assert names() == ["run", "script.py"]

    def test_resume_tells_what_has_changed(self, run_script: RunScript) -> None:
        """Whoever gives other arguments learns which, as a snapshot brings its own."""
        run_script(TRAINER, "--seed", "7", "--log-dir", "run")
        result = run_script(TRAINER, "--log-dir", "run", "--resume", "--seed", "8", "--widths", "5")
        assert "changed arguments: seed 7 -> 8, widths [64, 64] -> [5];" in result.stderr
        result = run_script(TRAINER, "--log-dir", "run", "--resume")
        assert "changed arguments" not in result.stderr

    def test_resume_without_a_run_starts_one(self, run_script: RunScript) -> None:
        """No folder, and an empty one, are where a run starts."""
        Path("empty").mkdir()
        for folder in ("none", "empty"):
            assert run_script(TRAINER, "--log-dir", folder, "--resume").stdout == "new 3 0 local (64, 64)\n"
        assert (Run.open("none").status.state, Run.open("empty").status.state) == ("finished", "finished")

    def test_resume_without_a_folder_takes_the_newest(self, run_script: RunScript) -> None:
        """--resume alone continues the latest run of this experiment."""
        run_script(TRAINER, "--seed", "1")
        run_script(TRAINER, "--seed", "2")
        assert run_script(TRAINER, "--resume").stdout == "resuming 3 2 local (64, 64)\n"

    def test_resume_of_a_foreign_run_is_refused(self, run_script: RunScript) -> None:
        """The run of another experiment, or of another tool, is a usage error that changes nothing."""
        run_script(TRAINER, "--log-dir", "run", name="other.py")
        before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
        result = run_script(TRAINER, "--log-dir", "run", "--resume")
        assert result.returncode == 2
        assert "other.py:train" in result.stderr
        assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before
        Path("garage").mkdir()
        Path("garage/params.pkl").touch()
        result = run_script(TRAINER, "--log-dir", "garage", "--resume")
        assert (result.returncode, "params.pkl" in result.stderr) == (2, True)

    def test_resume_of_a_live_run_is_refused(self, run_script: RunScript) -> None:
        """A run that is continuing is not joined."""
        with start("--log-dir", "run", "--n-epochs", "100000") as process:
            result = run_script(TRAINER, "--log-dir", "run", "--resume")
            process.kill()
        assert result.returncode == 1
        assert "still running" in result.stderr

    @pytest.mark.parametrize(
        "left",
        [("run.lock",), ("run.lock", "arguments.json"), ("run.lock", "arguments.json", "variant.json")],
    )
    def test_resume_of_a_launch_cut_short(self, run_script: RunScript, left: tuple[str, ...]) -> None:
        """A folder left half-way through a launch continues, with the arguments that it recorded."""
        run_script(TRAINER, "--log-dir", "run", "--seed", "5")
        for path in Path("run").iterdir():
            if path.name not in left:
                path.unlink()
        result = run_script(TRAINER, "--log-dir", "run", "--resume")
        assert result.stdout == (
            "resuming 3 5 local (64, 64)\n" if len(left) > 1 else "new 3 0 local (64, 64)\n"
        )


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
    def test_a_signal_stops_at_the_next_good_moment(self, number: int) -> None:
        """The function sees the request, the run is stopped, the exit code says 'try again' and the message how."""
        with start("--log-dir", "run", "--n-epochs", "100000") as process:
            process.send_signal(number)
            _, errors = process.communicate(timeout=30)
        assert process.returncode == 75
        assert "--resume" in errors
        assert Run.open("run").status.state == "stopped"

    def test_a_stop_that_nobody_can_be_told_of_is_one(self) -> None:
        """Standard error may be a pipe whose reader, `tee` for one, was ended by the same Ctrl-C."""
        with start("--log-dir", "run", "--n-epochs", "100000") as process:
            assert process.stderr is not None
            process.stderr.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 75
        assert Run.open("run").status.state == "stopped"

    def test_leaving_with_75_is_a_stop(self, run_script: RunScript) -> None:
        """A function that ends with the status of a stopped run is recorded as one, and told how to continue."""
        source = TRAINER.replace("time.sleep(0.01)", "raise SystemExit(75)")
        result = run_script(source, "--log-dir", "run")
        assert (result.returncode, "--log-dir" in result.stderr) == (75, True)
        assert Run.open("run").status.state == "stopped"

    @pytest.mark.parametrize(
        ("code", "state"), [("0", "finished"), ("", "finished"), ("'no data'", "failed")]
    )
    def test_leaving_says_how_it_went(self, run_script: RunScript, code: str, state: str) -> None:
        """A function that leaves the program as one does that succeeded has finished."""
        result = run_script(TRAINER.replace("time.sleep(0.01)", f"sys.exit({code})"), "--log-dir", "run")
        status = Run.open("run").status
        assert (status.state, status.error == "") == (state, state == "finished")
        assert (result.returncode == 0) == (state == "finished")

    def test_a_second_interrupt_ends_at_once(self) -> None:
        """A function that does not look at the request ends when Ctrl-C is pressed again, still resumable."""
        with start("--log-dir", "run", "--n-epochs", "100000", name="deaf.py") as process:
            assert process.stderr is not None
            process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert "once more" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
        assert process.returncode == 130
        assert Run.open("run").status.state == "stopped"

    def test_a_run_that_did_not_look_is_finished(self, run_script: RunScript) -> None:
        """A signal that the function never noticed does not make a complete run look stopped."""
        source = TRAINER.replace(
            "time.sleep(0.01)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
        )
        assert run_script(source, "--log-dir", "run", "--n-epochs", "1").returncode == 0
        assert Run.open("run").status.state == "finished"

    def test_a_run_that_says_complete_is_finished(self, run_script: RunScript) -> None:
        """A function that noticed the request but had done all its work says so."""
        source = TRAINER.replace("            return\n", "            return ctxt.complete()\n")
        source = source.replace("time.sleep(0.01)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
        assert run_script(source, "--log-dir", "run", "--n-epochs", "2").returncode == 0


MODULE = """
import sys
from rlx_experiment import grid, wrap_experiment
from .words import WORD

class Point:
    pass

@wrap_experiment(log_dir="run", archive_launch_repo=False)
def exp(ctxt, seed: int = 0, point: object = None):
    print(WORD, ctxt.resuming, Point.__module__, __package__)
    sys.exit(0 if ctxt.resuming else 75)

if __name__ == "__main__":
    if sys.argv[1:] == ["sweep"]:
        print([result.state for result in exp.sweep(grid(seed=[1]), log_dir="sweep", jobs=1, progress=False)])
    else:
        exp.main()
"""


@pytest.fixture
def package(in_own_folder: Path) -> Path:
    """A package with a program in it that imports its neighbour."""
    folder = in_own_folder / "deep" / "trainer"
    folder.mkdir(parents=True)
    (folder / "words.py").write_text("WORD = 'neighbour'")
    (folder / "train.py").write_text(MODULE)
    return folder


def run_module(*argv: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of the package."""
    command = (sys.executable, "-m", "deep.trainer.train", *argv)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


class TestModule:
    """An experiment in a package, started as ``python -m package.module``."""

    def test_says_how_it_goes_on(self, package: Path) -> None:
        """The command that it names is the one it was started by, and works."""
        told = run_module().stderr.splitlines()[-1]
        command = shlex.split(told.removeprefix("stopped; to continue: "))
        assert command[1:3] == ["-m", "deep.trainer.train"]
        again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (again.returncode, again.stdout) == (0, "neighbour True __main__ deep.trainer\n")

    def test_is_resumed_by_others(self, package: Path, capfd: pytest.CaptureFixture[str]) -> None:
        """Its neighbours are found, and its classes are those of the main module, as snapshots have them."""
        run_module()
        assert Run.open("run").resume() == 0
        assert capfd.readouterr().out == "neighbour True __main__ deep.trainer\n"

    def test_is_swept(self, package: Path) -> None:
        """The process that forks finds it, too."""
        assert run_module("sweep").stdout == "['stopped']\n"
        assert Path("sweep/seed=1/console.log").read_text() == "neighbour False __main__ deep.trainer\n"
