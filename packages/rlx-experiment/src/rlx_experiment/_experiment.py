"""An experiment: a function, the options of its runs, and how one run is launched."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_experiment._arguments.bounds import check_bounds, check_seed
from rlx_experiment._arguments.naming import run_name
from rlx_experiment._arguments.scalars import with_plain_scalars
from rlx_experiment._arguments.signature import Function, Parameters, public_signature, read_parameters
from rlx_experiment._options import Options
from rlx_experiment._runs.attempt import Outcome, RunPlan, run_attempt
from rlx_experiment._runs.identity import Origin, find_origin, qualified_name, recorded_place
from rlx_experiment._secrets import public_arguments

if TYPE_CHECKING:
    import inspect


class Experiment:
    """A function whose runs are recorded, as command lines, sweeps and replays see it."""

    def __init__(self, options: Options, *, origin: Origin | None = None) -> None:
        self.options: Final = options._replace(function=None).checked()
        self.function: Function | None = None
        self._origin = origin
        self._parameters = Parameters()
        if options.function is not None:
            self._wrap(options.function)

    def _wrap(self, function: Function) -> None:
        if not callable(function):
            raise ValueError(f"wrap_experiment should be applied to a single function, not to {function!r}")
        self._parameters = read_parameters(function)
        self.function = function

    @property
    def signature(self) -> "inspect.Signature":
        """The signature as callers of the experiment see it: without ctxt."""
        return public_signature(self.wrapped)

    def launch(
        self,
        options: Options,
        kwargs: Mapping[str, Any],
        *,
        again: Sequence[str] = (),
        launcher: Path | None = None,
        source_from: Path | None = None,
        in_sweep: bool = False,
    ) -> Outcome:
        """Run the experiment with `kwargs` in a folder as `options` say; return its value, state and folder.

        Args:
            options: The experiment's own options, or changed ones.
            kwargs: Its arguments.
            again: Command that, with the run's folder appended, continues the run; empty unless a command line launches.
            launcher: Main script of the program that asks for the run, where that is not this one.
            source_from: Run folder whose source this run shares, instead of capturing its own.
            in_sweep: Whether this is a job of a sweep: what it prints goes to ``console.log`` in its folder, and a run that
                has finished is left as it is.

        Raises:
            TypeError, ValueError: `kwargs` do not fit the function; nothing was written.
            RunLiveError: The folder to be reused belongs to a running process.
            RunFinishedError: In a sweep, the run has finished already.
            ForeignRunError: From the command line, it holds a run that is not of this experiment.
        """
        function = options.function or self.wrapped
        parameters = self._parameters if function is self.function else read_parameters(function)
        given = with_plain_scalars(function, kwargs)
        passed, arguments = parameters.bind(given)
        check_bounds(function, arguments)
        check_seed(arguments)
        origin = self.origin if function is self.function else find_origin(function)
        plan = RunPlan(
            origin=origin._replace(place=recorded_place(source_from)) if source_from else origin,
            folder=self.folder(options, passed, arguments),
            reuse=options.use_existing_dir,
            passed=public_arguments(passed),
            arguments=public_arguments(arguments),
            snapshot_mode=options.snapshot_mode,
            snapshot_gap=options.snapshot_gap,
            archive=options.archive_launch_repo,
            source_store=options.store,
            again=again,
            launcher=launcher,
            source_from=source_from,
            in_sweep=in_sweep,
        )
        return run_attempt(plan, lambda context: parameters.call(function, context, given))

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Defaults of the parameters that have one."""
        return self._parameters.defaults

    def folder(
        self,
        options: Options,
        passed: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        also: Collection[str] = (),
    ) -> Path:
        """Return the folder that a run asks for; the one it gets may have a number appended.

        Args:
            options: The experiment's own options, or changed ones.
            passed: What the caller gave.
            arguments: The same with defaults filled in.
            also: Fields of objects that are named even where they have their default.
        """
        if options.log_dir:
            return Path(options.log_dir).absolute()
        name = run_name(
            options.name or qualified_name(options.function or self.wrapped).rpartition(".")[2],
            options.name_parameters,
            declared=[
                *self._parameters.names,
                *(name for name in passed if name not in self._parameters.names),
            ],
            passed=passed,
            arguments=arguments,
            defaults=self._parameters.defaults,
            also=also,
        )
        return Path("data", "local", options.prefix, name).absolute()

    @property
    def identity(self) -> str:
        """``file.py:function``, by which a folder's run is recognised as one of this experiment."""
        return self.origin.experiment

    @property
    def origin(self) -> Origin:
        """Where the function was written, which is not seen any more where it has travelled to another process."""
        return self._origin or find_origin(self.wrapped)

    @property
    def wrapped(self) -> Function:
        """The experiment function itself; ValueError before there is one."""
        if self.function is None:
            raise ValueError("this wrap_experiment(...) was not applied to a function yet")
        return self.function

    def bind(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is passed, in declared order, and all arguments with defaults.

        Raises:
            TypeError: An argument is missing, or not known.
            ValueError: One is outside of the bounds that its annotation declares.
        """
        passed, arguments = self._parameters.bind(with_plain_scalars(self.wrapped, kwargs))
        check_bounds(self.wrapped, arguments)
        check_seed(arguments)
        return passed, arguments

    @property
    def place(self) -> Mapping[str, object]:
        """Module, name and file of the function, by which another process finds the experiment."""
        return self.origin.place

    def changes(self) -> dict[str, Any]:
        """Return the template's own options, but for the function."""
        return {key: value for key, value in self.options._asdict().items() if key != "function"}
