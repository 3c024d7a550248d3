"""``wrap_experiment``: a function becomes an experiment whose every call is a recorded run."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, overload

from rlx_experiment._arguments.signature import Function
from rlx_experiment._experiment import Experiment
from rlx_experiment._notebook import shell
from rlx_experiment._options import Options
from rlx_experiment._pickling import dump
from rlx_experiment._runs.identity import find, qualified_name
from rlx_experiment._runs.rundir import local_path

if TYPE_CHECKING:
    import inspect

    import optuna

    from rlx_experiment._sweeps.jobs import JobResult
    from rlx_experiment._sweeps.sweep import Launcher


class ExperimentTemplate(Experiment):
    """Creates run folders and runs an experiment in them. Made by `wrap_experiment`, which names the arguments.

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
        options = Options(
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
        super().__init__(options)

    def _wrap(self, function: Function) -> None:
        super()._wrap(function)
        update_wrapper(self, function)

    if TYPE_CHECKING:

        @property
        def __signature__(self) -> "inspect.Signature": ...

    else:

        def __getattr__(
            self, name: str
        ) -> object:  # a property would be taken for the signature of the class
            if name == "__signature__" and "function" in vars(self):
                return self.signature
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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

        Launched again, a sweep runs only what is missing: finished runs stay, the others continue.

        Args:
            points: Arguments of each run; `grid` makes combinations.
            jobs: Runs at once, of the local launcher; see `Local`.
            gpus: GPUs to share out, of the local launcher.
            launcher: Where the runs go, instead of ``Local(jobs=jobs, gpus=gpus)``: `Slurm`, `Ray`.
            log_dir: Folder of the sweep's runs, named by their arguments; by default they are named like the
                experiment and lie where its runs do.
            progress: Whether to show on standard error how far the sweep is.

        Returns:
            A result for each point, in their order.

        Raises:
            TypeError: A point does not fit the function; nothing is started.
        """
        from rlx_experiment._sweeps.pool import Local
        from rlx_experiment._sweeps.sweep import run_sweep

        chosen = launcher or Local(jobs=jobs, gpus=gpus)
        return run_sweep(self, points, launcher=chosen, log_dir=log_dir, progress=progress)

    def search(
        self,
        study: "optuna.Study",
        space: "Callable[[Any], Mapping[str, Any]]",
        *,
        n_trials: int,
        metric: str | None = None,
        jobs: int | Literal["auto"] = "auto",
        launcher: "Launcher | None" = None,
        log_dir: str | Path | None = None,
        progress: bool = True,
    ) -> "list[JobResult]":
        """Run trials of a study of Optuna, each in a process and folder of its own, and tell it their scores.

        Launched again on a study in a storage, a search continues: runs that were killed resume, and no point is asked
        twice. A run that the study's pruner gives up is stopped, by the rows that it logs.

        Args:
            study: Made by ``optuna.create_study(direction="maximize", ...)``; its storage makes it last.
            space: Makes the arguments of a run: ``lambda trial: {"lr": trial.suggest_float("lr", 1e-5, 1e-2)}``.
            n_trials: Trials that the study shall have in the end, those of earlier searches included.
            metric: Tag of the score, or its end; a return by default. A run's score is the mean of its last ten values.
            jobs: Runs at once, of the local launcher.
            launcher: Where the runs go, instead of ``Local(jobs=jobs)``; other launchers get all trials at once.
            log_dir: Folder of the runs and of the sampler's state; ``data/local/<prefix>/<name>_search`` by default.
            progress: Whether to show on standard error how far the search is.

        Returns:
            A result for each run of this search.

        Raises:
            MissingExtraError: optuna is not installed: ``pip install 'rlx-experiment[search]'``.
        """
        from rlx_experiment._sweeps.pool import Local
        from rlx_experiment._sweeps.search import run_search

        named = self.options.updated({"log_dir": None, "name_parameters": None})
        folder = local_path(log_dir) if log_dir else self.folder(named, {}, {})
        return run_search(
            self,
            study,
            space,
            n_trials=n_trials,
            metric=metric,
            launcher=launcher or Local(jobs=jobs),
            folder=folder if log_dir else folder.with_name(f"{folder.name}_search"),
            progress=progress,
        )

    def main(self, argv: Sequence[str] | None = None) -> None:
        """Run the experiment from the command line and exit.

        The options are the function's parameters and ``--log-dir --snapshot-mode --snapshot-gap --resume``. Exit codes:
        0 finished, 1 error, 2 usage, 75 stopped and resumable, 130 or 143 after a second SIGINT or SIGTERM.
        In a notebook's cell it returns instead of exiting.

        Args:
            argv: The words after the program's name; ``sys.argv[1:]`` by default, none in a notebook.

        Raises:
            RuntimeError: In a notebook, after the message that says why the words were refused.
            MissingExtraError: tyro is not installed: ``pip install 'rlx-experiment[cli]'``.
        """
        from rlx_experiment._command_line import main_and_exit

        own = [] if shell() else sys.argv[1:]  # a kernel's words are not the experiment's
        main_and_exit(self, own if argv is None else argv)

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self.function is None:
            return _rebuild, (self.options, None)
        module, qualname = self.function.__module__, qualified_name(self.function)
        if module != "__main__" and find(module, qualname) is self:
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

    The function's first parameter must be called `ctxt`; it receives the `ExperimentContext`. Works bare
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


def _rebuild(options: Options, function: bytes | None) -> ExperimentTemplate:
    import pickle

    given = options._asdict()
    given["function"] = None if function is None else pickle.loads(function)
    return ExperimentTemplate(**given)
