"""One run of a sweep: what it is called with, where it goes, and how a process of its own does it."""

import pickle
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from rlx_experiment._experiment import Experiment
from rlx_experiment._loading import load_experiment
from rlx_experiment._lock import RunLiveError
from rlx_experiment._options import Options
from rlx_experiment._pickling import dump
from rlx_experiment._runs.identity import is_importable
from rlx_experiment._runs.metadata import main_script

JobState = Literal["finished", "stopped", "failed", "running elsewhere", "to go"]

OnEnd = Callable[[int, int, int], None]
"""Called with index, exit code and number of tries of each job that has ended for good."""

FINISHED: Final = 0
STOPPED: Final = 75
LIVE: Final = 76
"""Exit code of a job whose run folder another process is working in."""


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Return every combination of the values of `axes`, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


class Job(NamedTuple):
    """One run to be made."""

    arguments: Mapping[str, Any]
    folder: Path


class JobResult(NamedTuple):
    """What came of a job."""

    arguments: Mapping[str, Any]
    path: Path
    state: JobState
    tries: int
    """Processes that were started for it; 0 if the run was finished before."""


def state_of(code: int) -> JobState:
    """Return the state that a job's exit code says."""
    if code == FINISHED:
        return "finished"
    return {STOPPED: "stopped", LIVE: "running elsewhere"}.get(code, "failed")  # type: ignore[return-value]


def pack_job(template: Experiment, job: Job) -> bytes:
    """Return all that another process needs to run `job`."""
    identity = template.place if is_importable(template.wrapped, template) else None
    pickled = dump(template.wrapped) if identity is None else None
    options = {**template.changes(), "log_dir": str(job.folder), "use_existing_dir": True}
    return dump((identity, pickled, options, dict(job.arguments), main_script()))


def run_job(packed: bytes, template: Experiment | None = None) -> int:
    """Run a packed job in this process and return its exit code; a run begun before goes on.

    Args:
        packed: From :func:`pack_job`.
        template: The experiment, where it is loaded already.
    """
    identity, pickled, options, arguments, launcher = pickle.loads(packed)
    if template is None:
        template = load_experiment(identity) if identity else _travelled(pickled, options)
    try:
        outcome = template.launch(
            template.options.updated(options), arguments, launcher=launcher, console=True
        )
    except RunLiveError:
        return LIVE
    return FINISHED if outcome.state == "finished" else STOPPED


def _travelled(function: bytes, options: Mapping[str, Any]) -> Experiment:
    """Return an experiment that came with its job."""
    return Experiment(Options(function=pickle.loads(function), **options))


def counts(results: Sequence[JobResult]) -> str:
    """Return how many jobs came to which end, as text."""
    states = [result.state for result in results]
    return ", ".join(f"{states.count(state)} {state}" for state in get_args(JobState) if state in states)


if __name__ == "__main__":
    sys.exit(run_job(sys.stdin.buffer.read()))
