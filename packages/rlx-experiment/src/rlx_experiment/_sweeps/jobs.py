"""One run of a sweep: what it is called with, where it goes, and how a process of its own does it."""

import pickle
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from rlx_experiment._checks import check_values
from rlx_experiment._experiment import Experiment
from rlx_experiment._loading import load_experiment
from rlx_experiment._lock import RunLiveError
from rlx_experiment._options import Options
from rlx_experiment._pickling import dump
from rlx_experiment._runs.attempt import RunFinishedError
from rlx_experiment._runs.identity import is_importable
from rlx_experiment._runs.metadata import main_script
from rlx_experiment._sweeps.retrying import may_pass

JobState = Literal["finished", "stopped", "failed", "running elsewhere", "to go"]

OnEnd = Callable[[int, int, int], None]
"""Called with index, exit code and number of tries of each job that has ended for good."""

FINISHED: Final = 0
FAILED: Final = 1
STOPPED: Final = 75
LIVE: Final = 76
"""Exit code of a job whose run folder another process is working in."""
RAISED: Final = 77
"""Exit code of a job that raised an error that another try would raise again."""


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Return every combination of the values of `axes`, the last axis fastest.

    Raises:
        TypeError: An axis is one value, not several.
    """
    for name, values in axes.items():
        check_values(name, values)
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
    error: str = ""
    """First line of the error of a failed job."""


def may_be_tried_again(code: int | None) -> bool:
    """Return whether a job that ended with `code`, None for a death without one, may end otherwise next time."""
    return code not in (FINISHED, STOPPED, LIVE, RAISED)


def state_of(code: int) -> JobState:
    """Return the state that a job's exit code says."""
    if code == FINISHED:
        return "finished"
    return {STOPPED: "stopped", LIVE: "running elsewhere"}.get(code, "failed")  # type: ignore[return-value]


def pack_job(template: Experiment, job: Job) -> bytes:
    """Return all that another process needs to run `job`."""
    identity = template.place if is_importable(template.wrapped, template) else None
    options = {**template.changes(), "log_dir": str(job.folder), "use_existing_dir": True}
    arguments = dict(job.arguments)
    if identity is None:  # the function, and the classes of its arguments, travel together
        payload = dump((template.wrapped, arguments, template.origin))
    else:
        payload = _by_reference((None, arguments, None))
    return pickle.dumps((identity, options, main_script(), payload))


def _by_reference(value: object) -> bytes:
    """Return a pickle whose classes are those that the experiment's module defines, as it does when that is loaded."""
    try:
        return pickle.dumps(value)
    except Exception:  # noqa: BLE001 - a lambda, say, travels by value
        return dump(value)


def run_job(packed: bytes, template: Experiment | None = None) -> int:
    """Run a packed job in this process and return its exit code; a run begun before continues.

    Args:
        packed: From `pack_job`.
        template: The experiment, where it is loaded already.
    """
    identity, options, launcher, payload = pickle.loads(packed)
    if template is None and identity:
        template = load_experiment(identity)
    function, arguments, origin = pickle.loads(payload)  # after the module that defines its classes
    template = template or Experiment(Options(function=function, **options), origin=origin)
    try:
        outcome = template.launch(
            template.options.updated(options), arguments, launcher=launcher, in_sweep=True
        )
    except RunLiveError:
        return LIVE
    except RunFinishedError:
        return FINISHED
    except Exception as error:  # noqa: BLE001 - the end of the job, which its exit code tells
        traceback.print_exc()
        return FAILED if may_pass(error) else RAISED
    return FINISHED if outcome.state == "finished" else STOPPED


def run_anywhere(packed: bytes) -> int:
    """Run a packed job in a process that must not end with it, and return its exit code."""
    try:
        return run_job(packed)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)


def counts(results: Sequence[JobResult]) -> str:
    """Return how many jobs came to which end, as text."""
    states = [result.state for result in results]
    return ", ".join(f"{states.count(state)} {state}" for state in get_args(JobState) if state in states)


if __name__ == "__main__":
    sys.exit(run_job(sys.stdin.buffer.read()))
