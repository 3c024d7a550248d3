"""garage's run_experiment and its commands."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_experiment import ExperimentContext, Run, run_experiment, to_local_command

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.filterwarnings("ignore:run_experiment is deprecated:DeprecationWarning")


def make_call(text: str = "") -> Any:
    """Return a closure, which no module can be asked for, that notes how it was called."""

    def call(ctxt: ExperimentContext, variant: Any, from_dir: Any, from_epoch: Any) -> None:
        import os

        note = {
            "variant": variant, "from": [from_dir, from_epoch], "text": len(text), "gap": ctxt.snapshot_gap,
            "cuda": os.environ.get("CUDA_VISIBLE_DEVICES"), "extra": os.environ.get("EXTRA"),
        }  # fmt: skip
        Path(ctxt.snapshot_dir, "note.json").write_text(json.dumps(note))

    return call


def notes(folder: str = "data/local/experiment") -> list[dict[str, Any]]:
    """Return what the calls noted, in the order of their folders."""
    return [json.loads(path.read_text()) for path in sorted(Path(folder).glob("*/note.json"))]


class TestRunExperiment:
    def test_calls_with_context_variant_and_origin(self) -> None:
        """The call gets its variant and where to resume from; all is recorded in its folder."""
        run_experiment(make_call(), variant={"lr": 0.1}, exp_name="a", resume_from_dir="d", snapshot_gap=4)
        (note,) = notes()
        assert note["variant"] == {"exp_name": "a", "lr": 0.1}
        assert (note["from"], note["gap"]) == (["d", None], 4)
        assert json.loads(Path("data/local/experiment/a/variant.json").read_text()) == note["variant"]

    @pytest.mark.parametrize("epoch", ["last", 3])
    def test_the_epoch_to_resume_from_arrives_as_it_was_given(self, epoch: str | int) -> None:
        """A number is one for the call, too, as `restore` wants it."""
        run_experiment(make_call(), resume_from_dir="d", resume_from_epoch=epoch)
        assert notes()[0]["from"] == ["d", epoch]

    def test_a_credential_reaches_the_call_only(self) -> None:
        """A variant's credentials are no part of the record."""
        run_experiment(make_call(), variant={"hf_token": "unheard"}, exp_name="a")
        assert notes()[0]["variant"]["hf_token"] == "unheard"
        records = [path for path in Path("data").rglob("*") if path.is_file() and path.name != "note.json"]
        assert not [path for path in records if b"unheard" in path.read_bytes()]

    def test_a_large_closure_travels(self) -> None:
        """A call of 300 kB, more than a command line holds, arrives."""
        run_experiment(make_call("x" * 300_000))
        assert notes()[0]["text"] == 300_000

    def test_batch_tasks_are_callables_or_dictionaries(self) -> None:
        """Each task runs in its own folder, with its own settings where it has them."""
        run_experiment(
            batch_tasks=[
                make_call(),
                {"method_call": make_call(), "variant": {"x": 1}, "env": {"EXTRA": "y"}},
            ]
        )
        first, second = notes()
        assert (first["extra"], second["extra"], second["variant"]["x"]) == (None, "y", 1)

    def test_dry_prints_all_and_runs_none(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A dry run shows the commands of every task and makes nothing."""
        run_experiment(batch_tasks=[make_call(), make_call()], pre_commands="echo hi", dry=True)
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in lines] == ["echo", sys.executable] * 2
        assert list(Path().iterdir()) == []

    def test_force_cpu_is_for_the_child_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The child sees no GPU; this process keeps its own."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
        run_experiment(make_call(), force_cpu=True)
        run_experiment(make_call(), exp_prefix="after")
        assert (notes()[0]["cuda"], notes("data/local/after")[0]["cuda"]) == ("-1", "3")

    def test_pre_commands_run_in_order(self, capfd: pytest.CaptureFixture[str]) -> None:
        """Commands before the call are run, one after another."""
        run_experiment(make_call(), pre_commands=["mkdir made", "touch made/file"])
        assert Path("made/file").exists()
        capfd.readouterr()

    @pytest.mark.parametrize("command", ["a && b", "a | b", "echo $HOME", "a > b", "a; b", "`a`"])
    def test_pre_commands_for_a_shell_are_refused(self, command: str) -> None:
        """What only a shell understands is an error before anything runs."""
        with pytest.raises(ValueError, match="needs a shell"):
            run_experiment(make_call(), pre_commands=command)
        assert list(Path().iterdir()) == []

    def test_a_failing_child_raises(self) -> None:
        """A call that raises is an error here, and later tasks are not run."""

        def fail(*_: object) -> None:
            raise RuntimeError("bad")

        with pytest.raises(subprocess.CalledProcessError, match="non-zero exit status 1"):
            run_experiment(batch_tasks=[fail, make_call()])
        assert notes() == []

    def test_refuses_what_it_cannot_run(self) -> None:
        """Nothing to run, something not callable, and unknown settings are errors that show the value."""
        with pytest.raises(ValueError, match="both are None"):
            run_experiment()
        with pytest.raises(ValueError, match="is 1; it must be callable"):
            run_experiment(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(ValueError, match="is 2; it must be callable"):
            run_experiment(batch_tasks=[2])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
        with pytest.raises(TypeError, match="variant is 3; it must be a dictionary"):
            run_experiment(make_call(), variant=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        with pytest.raises(ValueError, match="snapshot_mode is 'some'; it must be one of all"):
            run_experiment(make_call(), snapshot_mode="some")
        with pytest.raises(TypeError, match="'n_parallel'"):
            run_experiment(make_call(), n_parallel=2)

    def test_the_code_of_the_launcher_is_kept(self, git: Git, run_script: RunScript) -> None:
        """The process that makes the call is not the program whose repository counts."""
        script = """
            import warnings
            from rlx_experiment import run_experiment
            warnings.simplefilter("ignore")
            run_experiment(lambda *_: None, exp_name="a")
        """
        Path("script.py").write_text(script)
        git("add", ".")
        git("commit", "-qm", "x")
        result = run_script(script)
        assert result.returncode == 0, result.stderr
        run = Run.open("data/local/experiment/a")
        assert run.metadata["launcher"] == "script.py"
        assert (run.path / "launch_archive.tar.xz").exists()

    def test_is_deprecated(self) -> None:
        """Each use says what to use instead."""
        with pytest.warns(DeprecationWarning, match="wrap_experiment"):
            run_experiment(make_call(), dry=True)

    @pytest.mark.skipif(os.name == "nt", reason="POSIX processes")
    def test_simultaneous_launches_have_folders_of_their_own(self, run_script: RunScript) -> None:
        """A hundred launches of one name, let go at one moment, have as many folders."""
        result = run_script(AT_ONCE, "100")
        assert (result.stdout, result.stderr) == ("0\n", "")
        assert len(list(Path("data/local/experiment").glob("same*/mine"))) == 100


AT_ONCE = """
import os, sys
from pathlib import Path
from rlx_experiment._pickling import dump
from rlx_experiment.experiment_wrapper import run_experiment

def call(ctxt, *_):
    Path(ctxt.snapshot_dir, "mine").touch(exist_ok=False)

Path("call.pkl").write_bytes(dump((call, {}, None)))
gate, opener = os.pipe()
children = []
for _ in range(int(sys.argv[1])):
    if (child := os.fork()) == 0:
        os.close(opener)
        os.read(gate, 1)
        run_experiment(["same", "--spec", "call.pkl", "--exp_name", "same"])
        os._exit(0)
    children.append(child)
os.close(opener)
print(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


class TestToLocalCommand:
    def test_names_module_and_options(self) -> None:
        """Options follow the module; lists are several words, dictionaries several options, None is left out."""
        params = {"a": 1, "b": ["x", "y z"], "c": None, "d": {"_name": "n", "e": 2}, "pre_commands": ["no"]}
        command = to_local_command(params, python_command="python3 -O", script="m")
        assert command == "python3 -O -m m --a 1 --b x 'y z' --d n --d_e 2"

    def test_default_interpreter_is_the_running_one(self) -> None:
        """Not whatever `python` means on the PATH."""
        assert shlex.split(to_local_command({}))[0] == sys.executable

    @given(st.dictionaries(st.text(min_size=1), st.text(), max_size=3))
    def test_a_shell_gives_back_the_same_words(self, params: dict[str, str]) -> None:
        """Keys and values survive the shell's reading, whatever is in them; params stay as they were."""
        before = dict(params)
        kept = {k: v for k, v in params.items() if k not in ("pre_commands", "post_commands")}
        words = shlex.split(to_local_command(params))
        assert words[3:] == [word for key, value in kept.items() for word in (f"--{key}", value)]
        assert params == before

    def test_the_environment_is_not_evaluated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Garage's GARAGE_ENV, once run through eval, has no effect."""
        monkeypatch.setenv("GARAGE_ENV", "__import__('os').mkdir('pwned')")
        to_local_command({})
        assert list(Path().iterdir()) == []
