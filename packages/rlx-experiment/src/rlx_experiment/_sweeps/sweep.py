"""Sweeps: many runs of one experiment, each in its own folder, started again without doing anything twice."""

import itertools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.fields import differing_arguments, flatten
from rlx_experiment._experiment import Experiment
from rlx_experiment._runs.identity import is_same_experiment
from rlx_experiment._runs.index import find_runs
from rlx_experiment._runs.rundir import local_path, numbered_dirs
from rlx_experiment._runs.status import read_status
from rlx_experiment._secrets import public_arguments
from rlx_experiment._sweeps.jobs import Job, JobResult, OnEnd, state_of
from rlx_experiment._sweeps.pool import Local
from rlx_experiment._sweeps.progress import SweepProgress


class Launcher(Protocol):
    """Where the jobs of a sweep run: `Local`, `Slurm`, `Ray`, or another."""

    def run(self, template: Experiment, jobs: Sequence[Job], on_end: OnEnd) -> None:
        """Run `jobs`; call `on_end` with index, exit code and tries as each has ended for good."""
        ...


def run_sweep(
    template: Experiment,
    points: Iterable[Mapping[str, Any]],
    *,
    launcher: Launcher | None,
    log_dir: str | Path | None,
    progress: bool,
) -> list[JobResult]:
    """Run `template` at all `points`; see ``ExperimentTemplate.sweep``."""
    given = [dict(point) for point in points]
    jobs = plan_jobs(template, given, log_dir)
    done = [_is_finished(job.folder) for job in jobs]
    results = [
        JobResult(job.arguments, job.folder, "finished" if finished else "to go", 0)
        for job, finished in zip(jobs, done, strict=True)
    ]
    todo = [index for index, finished in enumerate(done) if not finished]
    display = SweepProgress(enabled=progress)
    display.show(results)

    def on_end(place: int, code: int, tries: int) -> None:
        index = todo[place]
        job = jobs[index]
        state = state_of(code)
        error = _error(job.folder) if state == "failed" else ""
        results[index] = JobResult(job.arguments, job.folder, state, tries, error)
        display.show(results, results[index])

    if todo:
        (launcher or Local()).run(template, [jobs[index] for index in todo], on_end)
    display.close(results)
    return results


def plan_jobs(
    template: Experiment, points: Sequence[Mapping[str, Any]], log_dir: str | Path | None
) -> list[Job]:
    """Return a job for each point, in a folder named by its arguments, the one of an earlier sweep if there is one.

    Raises:
        TypeError: A point does not fit the experiment; no job is started.
        ValueError: Two points are the same.
    """
    calls = [_Call(template, point) for point in points]
    seen: set[str] = set()
    for call in calls:
        if call.key in seen:
            raise ValueError(f"two points of the sweep are the same: {call.passed!r}")
        seen.add(call.key)
    varying = differing_arguments(call.plain for call in calls)
    wanted = [call.folder(log_dir, varying) for call in calls]
    earlier = _earlier_runs(template, {folder.parent for folder in wanted})
    taken = set(earlier.values())
    jobs: list[Job] = []
    for call, folder in zip(calls, wanted, strict=True):
        own = earlier.get(call.key) or _free_folder(folder, taken)
        taken.add(own)
        jobs.append(Job(call.passed, own))
    return jobs


class _Call:
    """One point of a sweep, as the arguments of a run."""

    def __init__(self, template: Experiment, point: Mapping[str, Any]) -> None:
        self._template = template
        self.passed, self._arguments = template.bind(point)
        recorded: dict[str, Any] = json.loads(json.dumps(to_plain(public_arguments(self._arguments))))
        self.plain = flatten(recorded)
        self.key = _key(recorded)

    def folder(self, log_dir: str | Path | None, varying: Collection[str]) -> Path:
        """Return the folder that a run of this call is named by."""
        named = self._template.options.updated({"name_parameters": "passed", "log_dir": None})
        if log_dir is not None:
            named = named.updated({"name": "run"})
        folder = self._template.folder(named, self.passed, self._arguments, also=varying)
        return folder if log_dir is None else local_path(log_dir) / folder.name.removeprefix("run_")


def _key(recorded: Mapping[str, Any]) -> str:
    return json.dumps(recorded, sort_keys=True)


def _earlier_runs(template: Experiment, folders: Iterable[Path]) -> dict[str, Path]:
    """Return the runs of the experiment in `folders` by their arguments: the finished ones, and else the newest."""
    found = [run for folder in folders if folder.is_dir() for run in find_runs(folder)]
    own = [run for run in found if is_same_experiment(run.experiment, template.identity)]
    ordered = sorted(own, key=lambda run: run.state == "finished")  # the last one of equal calls stays
    return {_key(run.arguments): run.path for run in ordered}


def _free_folder(wanted: Path, taken: Collection[Path]) -> Path:
    """Return `wanted`, or with the next number where that exists or is `taken`."""
    existing = {*numbered_dirs(wanted), *taken}
    numbers = itertools.chain([wanted], (wanted.with_name(f"{wanted.name}_{i}") for i in itertools.count(1)))
    return next(folder for folder in numbers if folder not in existing)


def _is_finished(folder: Path) -> bool:
    try:
        return read_status(folder).state == "finished"
    except FileNotFoundError:
        return False


def _error(folder: Path) -> str:
    """Return the first line of the error of a run that failed, or what is known instead."""
    try:
        status = read_status(folder)
    except (OSError, ValueError):
        return "it ended before its run began"
    return status.error or status.state
