"""Sweeps: many runs of one experiment, each in its own folder, started again without doing anything twice."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.naming import run_name
from rlx_experiment._experiment import Experiment
from rlx_experiment._runs.record import read_arguments
from rlx_experiment._runs.rundir import local_path, numbered_dirs
from rlx_experiment._runs.status import read_status
from rlx_experiment._secrets import public_arguments
from rlx_experiment._sweeps.jobs import Job, JobResult, OnEnd, counts, state_of
from rlx_experiment._sweeps.pool import Local
from rlx_experiment._terminal import tell


class Launcher(Protocol):
    """Where the jobs of a sweep run: :class:`Local`, :class:`Slurm`, :class:`Ray`, or another."""

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
    display = _Progress(len(jobs), enabled=progress)
    display.show(results)

    def on_end(place: int, code: int, tries: int) -> None:
        index = todo[place]
        job = jobs[index]
        results[index] = JobResult(job.arguments, job.folder, state_of(code), tries)
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
    jobs: list[Job] = []
    for point in points:
        passed, arguments = template.bind(point)
        if log_dir is None:
            wanted = template.folder(
                template.options.updated({"name_parameters": "passed"}), passed, arguments
            )
        else:
            name = run_name("run", "passed", declared=arguments, passed=passed, arguments=arguments)
            wanted = local_path(log_dir) / name.removeprefix("run_")
        jobs.append(Job(passed, _own_folder(wanted, template.identity, arguments)))
    taken = Counter(job.folder for job in jobs)
    for job in jobs:
        if taken[job.folder] > 1:
            raise ValueError(f"two points of the sweep are the same: {dict(job.arguments)!r}")
    return jobs


def _own_folder(wanted: Path, experiment: str, arguments: Mapping[str, Any]) -> Path:
    """Return the folder of an earlier run of just this call, or the next free one."""
    taken = numbered_dirs(wanted)
    plain = json.loads(json.dumps(to_plain(public_arguments(arguments))))
    for folder in taken:
        recorded = read_arguments(folder)
        if recorded and recorded[0] == plain and recorded[1].get("experiment") == experiment:
            return folder
    if wanted not in taken:
        return wanted
    highest = taken[0].name.removeprefix(wanted.name).removeprefix("_")
    return wanted.with_name(f"{wanted.name}_{int(highest or 0) + 1}")


def _is_finished(folder: Path) -> bool:
    try:
        return read_status(folder).state == "finished"
    except FileNotFoundError:
        return False


class _Progress:
    """One line on standard error that keeps up, in a terminal; else a line for each job that ends."""

    def __init__(self, total: int, *, enabled: bool) -> None:
        self._enabled = enabled
        self._live = enabled and sys.stderr.isatty()
        self._total = total
        self._start = time.monotonic()

    def show(self, results: Sequence[JobResult], ended: JobResult | None = None) -> None:
        """Show how far the sweep is."""
        if not self._enabled:
            return
        took = timedelta(seconds=round(time.monotonic() - self._start))
        line = f"sweep of {self._total}: {counts(results)}, {took}"
        if self._live:
            tell(f"\r\033[K{line}", end="")
        elif ended is not None:
            tell(f"{line}; {ended.path.name} {ended.state}")

    def close(self, results: Sequence[JobResult]) -> None:
        """Leave the last line, and name what failed."""
        if self._live:
            tell("")
        if self._enabled:
            for result in results:
                if result.state == "failed":
                    tell(f"failed after {result.tries} tries: {result.path}{_reason(result.path)}")


def _reason(folder: Path) -> str:
    """Return why a run failed, in brackets; empty if it never began."""
    try:
        status = read_status(folder)
    except FileNotFoundError:
        return ""
    return f" ({status.error or status.state}; see its console.log)"
