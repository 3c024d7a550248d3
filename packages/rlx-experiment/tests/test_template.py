"""Experiments made of functions."""

import functools
import inspect
import json
import logging
import os
import pickle
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval

from rlx_experiment import (
    ExperimentContext,
    ExperimentTemplate,
    Run,
    RunLiveError,
    wrap_experiment,
)
from rlx_experiment._lock import RunLock
from rlx_experiment._pickling import dump

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@wrap_experiment
def importable(ctxt: ExperimentContext, seed: int, lr: float = 0.5) -> tuple[str, int, float]:
    """Return what it was called with."""
    return ctxt.snapshot_dir, seed, lr


def misnamed(context: ExperimentContext) -> None:
    """Have a context by another name."""


def listed(folder: str = "data/local/experiment") -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in Path(folder).iterdir())


class TestDecoration:
    def test_looks_like_the_function(self) -> None:
        """Name, documentation, original and signature are those of the function, without ctxt, all by keyword."""
        assert importable.__name__ == "importable"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        assert importable.__doc__ == "Return what it was called with."
        assert importable.__wrapped__ is importable.function  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        signature = inspect.signature(importable)
        assert list(signature.parameters) == ["seed", "lr"]
        assert {p.kind for p in signature.parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}

    def test_works_with_and_without_options(self) -> None:
        """Bare and with options, the decorator gives a template."""

        def function(ctxt: ExperimentContext) -> str:
            return ctxt.snapshot_mode

        assert wrap_experiment(function)() == "last"
        assert wrap_experiment(snapshot_mode="all")(function)() == "all"

    def test_every_kind_of_callable_has_its_signature(self) -> None:
        """Decorated functions, partials and objects with ``__call__`` are experiments like plain functions."""

        class Callable:
            def __call__(self, ctxt: ExperimentContext, *, x: int, y: int = 2) -> int:
                return x * y

        def plain(ctxt: ExperimentContext, z: int, x: int, y: int = 2) -> int:
            return x * y + z

        experiments = (wrapped, Callable(), functools.partial(plain, z=0))
        for experiment in (wrap_experiment(function, archive_launch_repo=False) for function in experiments):
            assert experiment(x=2) == 4
            assert experiment(x=2, y=5) == 10
            with pytest.raises(TypeError, match="missing a required argument: 'x'"):
                experiment(y=1)

    def test_a_decorated_function_is_known_by_its_own_file(self) -> None:
        """An experiment is looked for where it was written, not where its decorator was."""
        template = wrap_experiment(wrapped)
        assert template.identity == "test_template.py:wrapped"
        assert template.place["file"] == __file__

    @pytest.mark.parametrize("arguments", [(), (1,), (len, len)])
    def test_refuses_anything_but_one_callable(self, arguments: tuple[Any, ...]) -> None:
        """With options given, the template is applied to exactly one function."""
        with pytest.raises(ValueError, match="applied to a single function"):
            wrap_experiment(prefix="p")(*arguments)

    def test_first_parameter_must_be_ctxt(self) -> None:
        """A function with another first parameter, or none, is refused when decorated."""
        with pytest.raises(ValueError, match="named 'ctxt' instead of 'context'"):
            wrap_experiment(misnamed)
        with pytest.raises(ValueError, match=r"named 'ctxt'.*none"):
            wrap_experiment(lambda: None)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"snapshot_mode": "bogus"}, "is 'bogus';"),
            ({"snapshot_gap": 0}, "is 0;"),
            ({"name_parameters": "some"}, "is 'some';"),
            (
                {"log_dir": "s3://bucket/runs"},
                "log_dir is 's3://bucket/runs'; it must be a folder of this machine",
            ),
            (
                {"log_dir": Path("s3://bucket")},
                "log_dir is 's3:/bucket'; it must be a folder of this machine",
            ),
        ],
    )
    def test_refuses_bad_options_at_once(self, options: dict[str, Any], message: str) -> None:
        """An option out of range is found when decorating, not when running."""
        with pytest.raises(ValueError, match=message):
            wrap_experiment(**options)

    @pytest.mark.parametrize(
        ("option", "words"), [("name", "must be text"), ("log_dir", "must be the path of a folder")]
    )
    def test_refuses_options_of_another_kind_at_once(self, option: str, words: str) -> None:
        """A number names no run and no folder."""
        options: dict[str, Any] = {option: 5}
        with pytest.raises(TypeError, match=f"{option} is 5; it {words}"):
            wrap_experiment(**options)

    def test_no_folder_is_named_like_a_url(self) -> None:
        """Whoever gives a URL in a call, or for a sweep, hears of it before anything runs."""
        for call in (
            lambda: importable({"log_dir": "gs://bucket/run"}, seed=1),
            lambda: importable.sweep([{"seed": 1}], log_dir="gs://bucket/run"),
        ):
            with pytest.raises(ValueError, match=r"is 'gs://bucket/run'; .*Snapshots alone may go to a URL"):
                call()
        assert list(Path().iterdir()) == []

    def test_pickles_by_reference_and_by_value(self) -> None:
        """An importable template comes back as itself, a local one as an equal one."""
        assert pickle.loads(pickle.dumps(importable)) is importable

        @wrap_experiment(prefix="elsewhere")
        def local(ctxt: ExperimentContext, x: int) -> int:
            return x + 1

        for data in (pickle.dumps(local), dump(local)):
            copy: ExperimentTemplate = pickle.loads(data)
            assert copy.options == local.options
            assert copy(x=1) == 2


@functools.lru_cache
def _decorated(function: Any) -> Any:
    return functools.wraps(function)(_passing(function))


def _passing(function: Any) -> Any:
    namespace: dict[str, Any] = {"function": function}
    source = "def passing(*args, **kwargs):\n    return function(*args, **kwargs)\n"
    exec(compile(source, "/elsewhere/decorators.py", "exec"), namespace)
    return namespace["passing"]


@_decorated
def wrapped(ctxt: ExperimentContext, x: int, y: int = 2) -> int:
    """Multiply, behind a decorator of another file."""
    return x * y


class TestBounds:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
            ({"gamma": 1.5}, "gamma is 1.5; it must be at most 1"),
            ({"gamma": 0.0}, "gamma is 0.0; it must be above 0"),
            ({"epochs": -1}, "epochs is -1; it must be above 0"),
            ({"n_workers": 3}, "n_workers is 3; it must be one of 1, 2, 4"),
            ({"sampler": "locl"}, "sampler is 'locl'; it must be one of 'local', 'ray'"),
        ],
    )
    def test_a_value_out_of_bounds_leaves_nothing(self, arguments: dict[str, Any], message: str) -> None:
        """Bounds and choices that the signature declares are checked before anything is written, defaults included."""

        @wrap_experiment
        def exp(
            ctxt: ExperimentContext,
            batch_size: Annotated[int, Ge(1)] = 64,
            gamma: Annotated[float, Interval(gt=0, le=1)] = 0.99,
            epochs: Annotated[int, Gt(0)] | None = None,
            n_workers: Literal[1, 2, 4] = 1,
            sampler: Literal["local", "ray"] | None = None,
        ) -> None: ...

        with pytest.raises(ValueError, match=message):
            exp(**arguments)
        with pytest.raises(ValueError, match=message):
            exp.sweep([arguments])
        assert list(Path().iterdir()) == []
        exp(batch_size=1, gamma=1, n_workers=4, sampler="ray")

    def test_what_cannot_be_evaluated_is_not_checked(self) -> None:
        """A type that only type checkers import keeps no call from running."""

        def exp(ctxt: ExperimentContext, n: int = 1) -> int:
            return n

        exp.__annotations__["n"] = "Unheard"
        assert wrap_experiment(exp)(n=2) == 2


class TestFolders:
    def test_numbers_folders(self) -> None:
        """Each call has a folder of its own under data/local/<prefix>."""
        for _ in range(3):
            importable(seed=1)
        assert listed() == ["importable", "importable_1", "importable_2"]

    def test_numbers_an_explicit_folder(self) -> None:
        """An explicit log_dir is numbered like any other."""
        first = importable({"log_dir": "runs/a"}, seed=1)[0]
        second = importable({"log_dir": "runs/a"}, seed=1)[0]
        assert (Path(first).name, Path(second).name) == ("a", "a_1")

    def test_names_parameters(self) -> None:
        """name_parameters puts arguments into the folder name."""
        importable({"name_parameters": "passed"}, seed=3)
        importable({"name_parameters": "all"}, seed=3)
        assert listed() == ["importable_seed=3", "importable_seed=3_lr=0.5"]

    def test_hostile_values_in_names(self) -> None:
        """A value with a slash, or 300 characters long, makes one folder, not many and not none."""

        @wrap_experiment(name_parameters="all")
        def exp(ctxt: ExperimentContext, path: str) -> None: ...

        exp(path="a/../../b")
        exp(path="x" * 300)
        assert len(listed()) == 2

    def test_reuses_a_folder_when_told_to(self) -> None:
        """use_existing_dir leaves what is there, progress.csv included, and says that it resumes."""
        folder = Path(importable(seed=1)[0])
        (folder / "progress.csv").write_text("epoch\n0\n")

        @wrap_experiment
        def again(ctxt: ExperimentContext) -> bool:
            return ctxt.resuming

        assert importable({"log_dir": str(folder), "use_existing_dir": True}, seed=1)[0] == str(folder)
        assert (folder / "progress.csv").read_text() == "epoch\n0\n"
        assert again({"log_dir": str(folder), "use_existing_dir": True}) is False

    def test_refuses_a_folder_in_use(self) -> None:
        """A folder whose run is alive is not taken over."""
        folder = Path(importable(seed=1)[0])
        lock = RunLock(folder)
        with pytest.raises(RunLiveError, match="still running"):
            importable({"log_dir": str(folder), "use_existing_dir": True}, seed=1)
        lock.close()


class TestCalls:
    def test_overrides_options_for_one_call(self) -> None:
        """One dictionary in front changes options; other positionals and unknown keys are refused."""
        assert "/other/" in importable({"prefix": "other"}, seed=1)[0]
        with pytest.raises(ValueError, match="unknown option 'speed'"):
            importable({"speed": 1}, seed=1)
        with pytest.raises(ValueError, match="keyword arguments only"):
            importable(1)

    @pytest.mark.parametrize("arguments", [{}, {"seed": 1, "sede": 2}])
    def test_wrong_arguments_leave_nothing(self, arguments: dict[str, int]) -> None:
        """Arguments are bound before anything is written."""
        with pytest.raises(TypeError, match=r"seed|sede"):
            importable(**arguments)
        assert list(Path().iterdir()) == []

    def test_records_passed_and_all_arguments(self) -> None:
        """variant.json has what was passed, arguments.json also the defaults."""
        run = Run.open(importable(seed=1)[0])
        assert run.variant == {"seed": 1}
        assert run.arguments == {"seed": 1, "lr": 0.5}

    def test_positional_only_and_variable_parameters(self) -> None:
        """Parameters that Python would take by position, and extra keywords, work by keyword."""

        @wrap_experiment
        def exp(ctxt: ExperimentContext, a: int, /, b: int, **rest: int) -> tuple[int, int, dict[str, int]]:
            return a, b, rest

        assert exp(a=1, b=2, c=3) == (1, 2, {"c": 3})
        assert Run.open("data/local/experiment/exp").arguments == {"a": 1, "b": 2, "c": 3}

    def test_context_fits_a_snapshot_configuration(self) -> None:
        """The context carries folder, mode and gap of its options, and its run."""

        @wrap_experiment(snapshot_mode="gap", snapshot_gap=3)
        def exp(ctxt: ExperimentContext) -> tuple[Any, ...]:
            assert ctxt.run is not None
            assert str(ctxt.run.path) == ctxt.snapshot_dir
            return ctxt.snapshot_mode, ctxt.snapshot_gap, ctxt.run.status.state

        assert exp() == ("gap", 3, "running")


class TestEnds:
    def test_finished(self) -> None:
        """A function that returns leaves a finished run."""
        assert Run.open(importable(seed=1)[0]).status.state == "finished"

    def test_failed(self) -> None:
        """A function that raises leaves a failed run with the error; the exception is the caller's."""

        @wrap_experiment
        def exp(ctxt: ExperimentContext) -> None:
            raise ZeroDivisionError("bad epoch")

        with pytest.raises(ZeroDivisionError, match="bad epoch"):
            exp()
        status = Run.open("data/local/experiment/exp").status
        assert (status.state, status.error) == ("failed", "ZeroDivisionError: bad epoch")

    def test_attempts_are_kept(self) -> None:
        """Each attempt in a folder leaves its start and its end."""
        folder = importable(seed=1)[0]
        importable({"log_dir": folder, "use_existing_dir": True}, seed=2)
        events = [(event["event"], event["attempt"]) for event in Run.open(folder).attempts]
        assert events == [("start", 1), ("end", 1), ("start", 2), ("end", 2)]


class TestDebugLog:
    def test_runs_keep_their_logs_apart(self) -> None:
        """Records of a run inside a run, and of a run after a failed one, go to their own debug.log only."""

        @wrap_experiment
        def inner(ctxt: ExperimentContext) -> None:
            logging.getLogger("x").warning("inside")
            raise ValueError("inner fails")

        @wrap_experiment
        def outer(ctxt: ExperimentContext) -> None:
            logging.getLogger("x").warning("before")
            with pytest.raises(ValueError, match="inner fails"):
                inner()
            logging.getLogger("x").warning("after")

        handlers = list(logging.getLogger().handlers)
        outer()
        text = Path("data/local/experiment/outer/debug.log").read_text()
        assert ("before" in text, "inside" in text, "after" in text) == (True, False, True)
        assert "inside" in Path("data/local/experiment/inner/debug.log").read_text()
        assert logging.getLogger().handlers == handlers


@pytest.mark.parametrize(("log_dir", "reuse"), [("file/run", False), ("file", True)])
def test_a_file_in_the_way_is_named(log_dir: str, reuse: bool) -> None:
    """A run folder cannot be made below a file."""
    Path("file").write_text("mine")
    experiment = wrap_experiment(nothing, log_dir=log_dir, use_existing_dir=reuse)
    with pytest.raises(NotADirectoryError, match="file is a file; choose another log_dir"):
        experiment()
    assert Path("file").read_text() == "mine"


def test_a_damaged_record_of_arguments_is_named() -> None:
    """Continuing in a folder whose arguments cannot be read would make it look like another run."""
    experiment = wrap_experiment(nothing, log_dir="run", use_existing_dir=True)
    experiment()
    Path("run/arguments.json").write_text("{")
    with pytest.raises(ValueError, match=r"run/arguments.json is damaged \(.*choose another folder"):
        experiment()
    assert Path("run/arguments.json").read_text() == "{"


def test_debug_log_takes_any_name() -> None:
    """A record with a byte of another encoding in it is written, escaped."""

    def tell(ctxt: ExperimentContext) -> None:
        logging.getLogger("x").warning("in %s", "l\udcc3uf")

    wrap_experiment(tell, log_dir="run")()
    assert "in l\\udcc3uf" in Path("run/debug.log").read_text(encoding="utf-8")


def test_runs_in_threads_leave_logging_as_it_was() -> None:
    """Of two runs at the same time the first may end first; nothing is written to its debug.log from then on."""
    began, ended = threading.Event(), threading.Event()
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level

    def first(ctxt: ExperimentContext) -> None:
        began.wait(30)

    def second(ctxt: ExperimentContext) -> None:
        began.set()
        ended.wait(30)

    def run_first() -> None:
        wrap_experiment(first, log_dir="first")()
        ended.set()

    thread = threading.Thread(target=run_first)
    thread.start()
    while not Path("first/status.json").exists() or "running" not in Path("first/status.json").read_text():
        assert thread.is_alive()
    wrap_experiment(second, log_dir="second")()
    thread.join()
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)


FORKING = """
import os, sys
from rlx_experiment import Run, wrap_experiment

@wrap_experiment(log_dir="run", archive_launch_repo=False)
def forking(ctxt):
    child = os.fork()
    if child == 0:
        sys.exit(3)
    os.waitpid(child, 0)
    print(len(ctxt.run.attempts))

forking()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_a_forked_child_does_not_end_the_run(run_script: RunScript) -> None:
    """A child that leaves by its own way out of the experiment says nothing about the run of its parent."""
    assert run_script(FORKING).stdout == "1\n"
    assert Run.open("run").status.state == "finished"


def nothing(ctxt: ExperimentContext) -> None:
    """Stand for an experiment."""


def test_a_launch_that_fails_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """When recording fails, nothing that looks like a run remains."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rlx_experiment._runs.record.append_attempt", full)
    with pytest.raises(OSError, match="No space left"):
        importable(seed=1)
    assert listed() == []


def test_arguments_file_names_the_experiment() -> None:
    """arguments.json says which experiment, in which file, the run is of."""
    folder = Path(importable(seed=1)[0])
    record = json.loads((folder / "arguments.json").read_text())
    assert record["$run"]["experiment"] == "test_template.py:importable"


def test_attempts_after_one_that_was_cut_short() -> None:
    """A line that a crash left without its end does not swallow the next."""
    experiment = wrap_experiment(nothing, log_dir="run", use_existing_dir=True)
    experiment()
    with Path("run/attempts.jsonl").open("ab") as file:
        file.write(b'{"event": "start", "att')
    experiment()
    assert [event["attempt"] for event in Run.open("run").attempts] == [1, 1, 2, 2]
