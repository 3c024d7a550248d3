"""A search for good arguments: a study of Optuna is asked for points and told how their runs ended."""

import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_experiment import _atomic
from rlx_experiment._experiment import Experiment
from rlx_experiment._missing import require
from rlx_experiment._runs.files import DamagedRunError
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.jobs import Job, JobResult, state_of
from rlx_experiment._sweeps.pool import Local
from rlx_experiment._sweeps.progress import SweepProgress
from rlx_experiment._sweeps.pruning import Pruning, Trial

if TYPE_CHECKING:
    from rlx_experiment._sweeps.sweep import Launcher

Space = Callable[[Any], Mapping[str, Any]]
"""Makes the arguments of a run from a trial: ``lambda trial: {"lr": trial.suggest_float("lr", 1e-5, 1e-2)}``."""

SAMPLER_FILE: Final = "sampler.pkl"
_LIVE: Final = ("starting", "running")
_FOLDER: Final = "rlx.folder"
"""Attribute of a trial that names its run folder."""


def run_search(
    template: Experiment,
    study: Any,
    space: Space,
    *,
    n_trials: int,
    metric: str | None,
    launcher: "Launcher",
    folder: Path,
    progress: bool,
) -> list[JobResult]:
    """Run trials until `study` has `n_trials`; see ``ExperimentTemplate.search``."""
    search = _Search(template, study, space, metric, folder)
    search.take_up_sampler()
    left, live = search.leftovers()
    asked = max(0, n_trials - len(study.get_trials(deepcopy=False)))
    results = [JobResult(trial.job.arguments, trial.job.folder, "to go", 0) for trial in left]
    results += [JobResult({}, folder, "to go", 0)] * asked
    results += [JobResult(trial.job.arguments, trial.job.folder, "running elsewhere", 0) for trial in live]
    display = SweepProgress(enabled=progress)
    display.show(results)

    def points() -> Iterator[Job]:
        for trial in left:
            yield search.begin(trial)
        for _ in range(asked):
            yield search.begin(search.ask())

    def on_end(index: int, code: int, tries: int) -> None:
        results[index] = search.end(index, code, tries)
        display.show(results, results[index])

    with search.pruning():
        if isinstance(launcher, Local):
            launcher.run(template, points(), on_end)
        else:  # a cluster's queue takes all at once
            launcher.run(template, list(points()), on_end)
    display.close(results)
    return [result for result in results if result.arguments]


class _Search:
    """The trials of one study, and the runs that they are."""

    def __init__(
        self, template: Experiment, study: Any, space: Space, metric: str | None, folder: Path
    ) -> None:
        self._optuna = require("optuna", "search", "a search")
        require("numpy", "report", "a search")
        self._template = template
        self._study = study
        self._space = space
        self._metric = metric
        self._folder = folder
        self._trials: list[Trial] = []
        self._pruned: set[int] = set()

    def take_up_sampler(self) -> None:
        """Continue with the sampler of an earlier search, whose generator stands behind the points that were asked.

        A sampler that starts again with its seed would propose the same points once more.
        """
        n_asked = len(self._study.get_trials(deepcopy=False))
        if not n_asked:
            return
        with suppress(OSError, EOFError, pickle.UnpicklingError, AttributeError, ImportError):
            kept_at, sampler = pickle.loads((self._folder / SAMPLER_FILE).read_bytes())
            if kept_at == n_asked and type(sampler) is type(self._study.sampler):
                self._study.sampler = sampler
                return
        self._study.sampler.reseed_rng()  # others have asked since, or a kill came between

    def leftovers(self) -> tuple[list[Trial], list[Trial]]:
        """Return the trials whose runs an earlier search left unfinished: those to continue, and those that live.

        Of those that have ended meanwhile the study is told.
        """
        states = self._optuna.trial.TrialState
        ours = [
            trial
            for trial in self._study.get_trials(deepcopy=False, states=(states.RUNNING,))
            if _FOLDER in trial.user_attrs
        ]
        dead: list[Trial] = []
        live: list[Trial] = []
        for trial in ours:
            folder = Path(trial.user_attrs[_FOLDER])
            state = _state(folder)
            try:
                arguments = dict(
                    self._space(self._optuna.trial.FixedTrial(trial.params, number=trial.number))
                )
            except ValueError:  # killed while it was asked
                self._study.tell(trial.number, state=states.FAIL)
                continue
            if state == "finished":
                self._tell_score(trial.number, folder)
            else:
                chosen = live if state in _LIVE else dead
                chosen.append(Trial(trial.number, Job(arguments, folder), None))
        return dead, live

    def ask(self) -> Trial:
        """Return a new trial, after what its sampler has drawn is kept."""
        trial = self._study.ask()
        folder = self._free_folder(trial.number)
        trial.set_user_attr(_FOLDER, str(folder))
        try:
            arguments = dict(self._space(trial))
            self._template.bind(arguments)
        except Exception:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            raise
        self._keep_sampler()
        return Trial(trial.number, Job(arguments, folder), trial)

    def _keep_sampler(self) -> None:
        with suppress(
            pickle.PicklingError, AttributeError, TypeError
        ):  # its points are only not reproducible
            kept = pickle.dumps((len(self._study.get_trials(deepcopy=False)), self._study.sampler))
            self._folder.mkdir(parents=True, exist_ok=True)
            _atomic.write_bytes(self._folder / SAMPLER_FILE, kept)

    def begin(self, trial: Trial) -> Job:
        """Count the trial as under way and return its job."""
        self._trials.append(trial)
        return trial.job

    def end(self, index: int, code: int, tries: int) -> JobResult:
        """Tell the study how the run of the trial ended; one that was stopped stays open for the next search."""
        trial, state = self._trials[index], state_of(code)
        states = self._optuna.trial.TrialState
        result = JobResult(trial.job.arguments, trial.job.folder, state, tries)
        if state == "finished":
            error = self._tell_score(trial.number, trial.job.folder)
            return result._replace(state="failed", error=error) if error else result
        if state == "stopped" and trial.number in self._pruned:
            self._study.tell(trial.number, state=states.PRUNED)
        if state == "failed":
            self._study.tell(trial.number, state=states.FAIL)
            return result._replace(error=_error_of(trial.job.folder))
        return result

    def pruning(self) -> "Pruning":
        """Return what stops hopeless runs while it is entered."""
        return Pruning(self._unfinished, self._metric, self._pruned)

    def _unfinished(self) -> list[Trial]:
        return [trial for trial in [*self._trials] if trial.live is not None]

    def _tell_score(self, number: int, folder: Path) -> str:
        """Tell the score of a finished run, or that it has none, and return why."""
        from rlx_experiment._reports.curves import choose_metric, read_curves
        from rlx_experiment._reports.groups import final_score

        error, score = "", float("nan")
        try:
            curves = read_curves(folder)
            score = final_score(curves[choose_metric(curves, self._metric)])
        except (DamagedRunError, ValueError) as problem:
            error = str(problem)
        if math.isnan(score):
            self._study.tell(number, state=self._optuna.trial.TrialState.FAIL)
            return error or "its score is not a number"
        self._study.tell(number, score)
        return ""

    def _free_folder(self, number: int) -> Path:
        """Return the folder of a trial; that of another study's trial of the same number is left alone."""
        wanted = self._folder / f"trial_{number:04d}"
        names = [wanted, *(wanted.with_name(f"{wanted.name}_{i}") for i in range(1, 10_000))]
        return next(name for name in names if not name.exists())


def _state(folder: Path) -> str:
    try:
        return read_status(folder).state
    except (OSError, ValueError):
        return "none"  # its run had not begun


def _error_of(folder: Path) -> str:
    try:
        return read_status(folder).error
    except (OSError, ValueError):
        return "it ended before its run began"
