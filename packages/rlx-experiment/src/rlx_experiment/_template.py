"""``wrap_experiment``: a function becomes an experiment whose every call is a recorded run."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, cast, overload

from rlx_experiment._attempt import Outcome, RunPlan, run_attempt
from rlx_experiment._context import ExperimentContext, check_snapshot_options
from rlx_experiment._git import default_store
from rlx_experiment._naming import check_name_parameters, run_name
from rlx_experiment._pickling import dump
from rlx_experiment._record import read_arguments

if TYPE_CHECKING:
    from rlx_experiment._jobs import JobResult
    from rlx_experiment._sweep import Launcher

Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The arguments of :func:`wrap_experiment`; those of one call may differ from the template's."""

    function: Function | None
    log_dir: str | None
    name: str | None
    prefix: str
    snapshot_mode: str
    snapshot_gap: int
    archive_launch_repo: bool
    name_parameters: str | None
    use_existing_dir: bool
    source_store: str | None

    def __post_init__(self) -> None:
        check_snapshot_options(self.snapshot_mode, self.snapshot_gap)
        check_name_parameters(self.name_parameters)

    def updated(self, changes: Mapping[str, Any]) -> "Options":
        """Return the options with `changes`; ValueError for a key that is none."""
        unknown = sorted(set(changes) - {field.name for field in fields(self)})
        if unknown:
            raise ValueError(
                f"unknown option {unknown[0]!r} for wrap_experiment; known are "
                f"{', '.join(field.name for field in fields(self))}"
            )
        return replace(self, **changes)


class ExperimentTemplate:
    """Creates run folders and runs an experiment in them. Made by :func:`wrap_experiment`, which names the arguments.

    Called with keyword arguments it launches a run and returns the function's value. One positional dictionary in
    front overrides the options for this run: ``exp({"log_dir": "somewhere"}, seed=1)``. It looks like the function it
    wraps, without the first parameter, and pickles.
    """

    def __init__(
        self,
        *,
        function: Function | None,
        log_dir: str | None,
        name: str | None,
        prefix: str,
        snapshot_mode: str,
        snapshot_gap: int,
        archive_launch_repo: bool,
        name_parameters: str | None,
        use_existing_dir: bool,
        source_store: str | None = None,
    ) -> None:
        self.options: Final = Options(
            function=None,
            log_dir=log_dir,
            name=name,
            prefix=prefix,
            snapshot_mode=snapshot_mode,
            snapshot_gap=snapshot_gap,
            archive_launch_repo=archive_launch_repo,
            name_parameters=name_parameters,
            use_existing_dir=use_existing_dir,
            source_store=source_store,
        )
        self.function: Function | None = None
        self.__signature__ = inspect.Signature()
        if function is not None:
            self._wrap(function)

    def _wrap(self, function: Function) -> None:
        if not callable(function):
            raise ValueError(f"wrap_experiment should be applied to a single function, not to {function!r}")
        self.__signature__ = experiment_signature(function)
        self.function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Launch a run of the experiment, or, without a function yet, wrap the one that is given."""
        if self.function is None:
            if len(args) != 1 or kwargs or not callable(args[0]):
                raise ValueError(
                    "the result of wrap_experiment(...) should be applied to a single function, not to "
                    f"{', '.join(map(repr, [*args, *kwargs])) or 'nothing'}"
                )
            self._wrap(args[0])
            return self
        return self.launch(self._overridden(args), kwargs).value

    def _overridden(self, args: Sequence[Any]) -> Options:
        if not args:
            return self.options
        if len(args) > 1 or not isinstance(args[0], dict):
            raise ValueError(
                "an experiment takes keyword arguments only (and one dictionary of options in front), not "
                f"{', '.join(map(repr, args))}"
            )
        return self.options.updated(cast("dict[str, Any]", args[0]))

    def launch(
        self,
        options: Options,
        kwargs: Mapping[str, Any],
        *,
        command_line: bool = False,
        source_from: Path | None = None,
        console: bool = False,
    ) -> Outcome:
        """Run the experiment with `kwargs` in a folder as `options` say; return its value, state and folder.

        Raises:
            TypeError: `kwargs` do not fit the function; nothing was written.
            RunLiveError: The folder to be reused belongs to a running process.
            ForeignRunError: From the command line, it holds a run that is not of this experiment.
        """
        function = options.function or self.wrapped
        signature = self.__signature__ if function is self.function else experiment_signature(function)
        passed, arguments = bind(signature, kwargs)
        plan = RunPlan(
            experiment=experiment_identity(function),
            place=_recorded_place(source_from) if source_from else _place(function),
            folder=self.folder(options, passed, arguments),
            reuse=options.use_existing_dir,
            passed=passed,
            arguments=arguments,
            snapshot_mode=options.snapshot_mode,
            snapshot_gap=options.snapshot_gap,
            archive=options.archive_launch_repo,
            source_store=self.source_store(options),
            command_line=command_line,
            source_from=source_from,
            console=console,
        )
        return run_attempt(plan, lambda context: _call(function, context, kwargs))

    def folder(self, options: Options, passed: Mapping[str, Any], arguments: Mapping[str, Any]) -> Path:
        """Return the folder that a run asks for; the one it gets may have a number appended."""
        if options.log_dir:
            return Path(options.log_dir).absolute()
        name = run_name(
            options.name or _qualname(options.function or self.wrapped).rpartition(".")[2],
            options.name_parameters,
            declared=self.__signature__.parameters,
            passed=passed,
            arguments=arguments,
        )
        return Path("data", "local", options.prefix, name).absolute()

    @staticmethod
    def source_store(options: Options) -> Path:
        """Return the folder of source archives: beside the runs, unless another was asked for."""
        if options.source_store:
            return Path(options.source_store).absolute()
        return default_store(Path(options.log_dir).absolute() if options.log_dir else None)

    @property
    def identity(self) -> str:
        """``file.py:function``, by which a folder's run is recognised as one of this experiment."""
        return experiment_identity(self.wrapped)

    @property
    def wrapped(self) -> Function:
        """The experiment function itself; ValueError before there is one."""
        if self.function is None:
            raise ValueError("this wrap_experiment(...) was not applied to a function yet")
        return self.function

    def bind(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is passed, in declared order, and all arguments with defaults; TypeError if they do not fit."""
        return bind(self.__signature__, kwargs)

    @property
    def place(self) -> dict[str, object]:
        """Module, name and file of the function, by which another process finds the experiment."""
        return _place(self.wrapped)

    def found_by_name(self) -> str | None:
        """Return the name under which another process can import this template; None if it cannot."""
        module, qualname = self.wrapped.__module__, _qualname(self.wrapped)
        return qualname if _find(module, qualname) is self else None

    def changes(self) -> dict[str, Any]:
        """Return the template's own options, but for the function."""
        return {key: value for key, value in vars(self.options).items() if key != "function"}

    def sweep(
        self,
        points: Iterable[Mapping[str, Any]],
        *,
        jobs: int | Literal["auto"] = "auto",
        gpus: Sequence[str | int] | Literal["auto"] = "auto",
        launcher: "Launcher | None" = None,
        log_dir: str | Path | None = None,
        progress: bool = True,
    ) -> "list[JobResult]":
        """Run the experiment at each of `points`, many at once, each in a process and folder of its own.

        Launched again, a sweep runs only what is missing: finished runs stay, the others go on.

        Args:
            points: Arguments of each run; :func:`grid` makes combinations.
            jobs: Runs at once, of the local launcher; see :class:`Local`.
            gpus: GPUs to share out, of the local launcher.
            launcher: Where the runs go, instead of ``Local(jobs=jobs, gpus=gpus)``: :class:`Slurm`, :class:`Ray`.
            log_dir: Folder of the sweep's runs, named by their arguments; by default they are named like the
                experiment and lie where its runs do.
            progress: Whether to show on standard error how far the sweep is.

        Returns:
            A result for each point, in their order.

        Raises:
            TypeError: A point does not fit the function; nothing is started.
        """
        from rlx_experiment._pool import Local
        from rlx_experiment._sweep import run_sweep

        chosen = launcher or Local(jobs=jobs, gpus=gpus)
        return run_sweep(self, points, launcher=chosen, log_dir=log_dir, progress=progress)

    def main(self, argv: Sequence[str] | None = None) -> NoReturn:
        """Run the experiment from the command line and exit.

        The options are the function's parameters and ``--log-dir --snapshot-mode --snapshot-gap --resume``. Exit codes:
        0 finished, 1 error, 2 usage, 75 stopped and resumable, 130 or 143 after a second SIGINT or SIGTERM.

        Args:
            argv: The words after the program's name; ``sys.argv[1:]`` by default.

        Raises:
            MissingExtraError: tyro is not installed: ``pip install 'rlx-experiment[cli]'``.
        """
        from rlx_experiment._main import main

        sys.exit(main(self, sys.argv[1:] if argv is None else argv))

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self.function is None:
            return _rebuild, (self.options, None)
        module, qualname = self.function.__module__, _qualname(self.function)
        if module != "__main__" and _find(module, qualname) is self:
            return qualname
        return _rebuild, (self.options, dump(self.function))


@overload
def wrap_experiment(function: Function, /) -> ExperimentTemplate: ...
@overload
def wrap_experiment(
    function: Function | None = None,
    *,
    log_dir: str | None = None,
    prefix: str = "experiment",
    name: str | None = None,
    snapshot_mode: str = "last",
    snapshot_gap: int = 1,
    archive_launch_repo: bool = True,
    name_parameters: str | None = None,
    use_existing_dir: bool = False,
    source_store: str | None = None,
) -> ExperimentTemplate: ...
def wrap_experiment(
    function: Function | None = None,
    *,
    log_dir: str | None = None,
    prefix: str = "experiment",
    name: str | None = None,
    snapshot_mode: str = "last",
    snapshot_gap: int = 1,
    archive_launch_repo: bool = True,
    name_parameters: str | None = None,
    use_existing_dir: bool = False,
    source_store: str | None = None,
) -> ExperimentTemplate:
    """Decorate a function so that each call of it is a recorded run in its own folder.

    The function's first parameter must be called `ctxt`; it receives the :class:`ExperimentContext`. Works bare
    (``@wrap_experiment``) and with options (``@wrap_experiment(snapshot_mode="all")``).

    Args:
        function: The experiment function.
        log_dir: Folder of the run, instead of ``data/local/<prefix>/<name>`` under the working directory.
        prefix: Folder under ``data/local`` that groups runs.
        name: Name of the run; the function's by default.
        snapshot_mode: Which snapshots to keep: 'all', 'last', 'gap' (every `snapshot_gap` iterations) or 'none'.
        snapshot_gap: Iterations between snapshots in mode 'gap'.
        archive_launch_repo: Whether to keep the launcher's repository with the run, which makes it repeatable.
        name_parameters: Parameters to append to the name: None, 'all' or 'passed'.
        use_existing_dir: Use the folder even if it exists, instead of appending ``_1``, ``_2`` … to its name.
        source_store: Folder that keeps one archive per state of the code; ``.source`` beside the runs by default.

    Raises:
        ValueError: An option is out of range, or the function's first parameter is not `ctxt`.
    """
    return ExperimentTemplate(
        function=function,
        log_dir=log_dir,
        name=name,
        prefix=prefix,
        snapshot_mode=snapshot_mode,
        snapshot_gap=snapshot_gap,
        archive_launch_repo=archive_launch_repo,
        name_parameters=name_parameters,
        use_existing_dir=use_existing_dir,
        source_store=source_store,
    )


def experiment_signature(function: Function) -> inspect.Signature:
    """Return the signature of `function` as callers of the template see it: without ctxt, all by keyword.

    Raises:
        ValueError: The first parameter is not called ctxt.
    """
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].name != "ctxt":
        found = f"instead of {parameters[0].name!r}" if parameters else "and there is none"
        raise ValueError(f"the first parameter of an experiment should be named 'ctxt' {found}: {function!r}")
    keyword_only = [
        parameter
        if parameter.kind is inspect.Parameter.VAR_KEYWORD
        else parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in parameters[1:]
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    return signature.replace(parameters=keyword_only)


def bind(signature: inspect.Signature, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the passed arguments in declared order, and all arguments with defaults; TypeError if they do not fit."""
    bound = signature.bind(**kwargs)
    passed = _flat(bound, signature)
    bound.apply_defaults()
    return passed, _flat(bound, signature)


def _flat(bound: inspect.BoundArguments, signature: inspect.Signature) -> dict[str, Any]:
    """Return the arguments with those of ``**kwargs`` beside the others."""
    arguments = dict(bound.arguments)
    for parameter in signature.parameters.values():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            arguments |= arguments.pop(parameter.name, {})
    return arguments


def _call(function: Function, context: ExperimentContext, kwargs: Mapping[str, Any]) -> Any:
    """Call `function`, also when it declares positional-only parameters."""
    positional = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY and parameter.name in kwargs
    ]
    rest = {key: value for key, value in kwargs.items() if key not in positional}
    return function(context, *(kwargs[name] for name in positional), **rest)


def experiment_identity(function: Function) -> str:
    """Return ``file.py:function``, by which runs of the same experiment know each other wherever the file lies."""
    try:
        file = Path(inspect.getfile(function)).name
    except TypeError:
        file = ""
    return f"{file}:{_qualname(function)}"


def _place(function: Function) -> dict[str, object]:
    """Return where another process finds `function`."""
    try:
        file = str(Path(inspect.getfile(function)).absolute())
    except TypeError:
        file = ""
    return {"module": function.__module__, "function": _qualname(function), "file": file}


def _recorded_place(run_folder: Path) -> dict[str, object]:
    """Return where the function of an earlier run was; a rebuilt tree of it is gone after the run."""
    recorded = read_arguments(run_folder)
    return {key: recorded[1][key] for key in ("module", "function", "file")} if recorded else {}


def _qualname(function: Function) -> str:
    try:
        return function.__qualname__
    except AttributeError:  # a partial, or an object with __call__
        return type(function).__qualname__


def _find(module: str, qualname: str) -> object:
    found: object = sys.modules.get(module)
    try:
        return functools.reduce(getattr, qualname.split("."), found)
    except AttributeError:
        return None


def _rebuild(options: Options, function: bytes | None) -> ExperimentTemplate:
    import pickle

    given = {field.name: getattr(options, field.name) for field in fields(options)}
    given["function"] = None if function is None else pickle.loads(function)
    return ExperimentTemplate(**given)
