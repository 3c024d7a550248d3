"""How an error of a worker travels to the sampler and is raised there."""

import pickle
import traceback
from dataclasses import dataclass

from rlx_sampler._errors import EpisodeError, WorkerError


@dataclass(frozen=True, slots=True)
class Failure:
    """Something raised in a worker. `round_number` is None outside of episodes."""

    round_number: int | None
    error: bytes
    """The error, pickled, or empty where it cannot be."""
    text: str
    remote_traceback: str


def describe(round_number: int | None, error: Exception) -> Failure:
    """Return what the sampler needs to raise `error` in its own process."""
    cause = error.__cause__ if isinstance(error, EpisodeError) and error.__cause__ else error
    text = "".join(traceback.format_exception(cause))
    try:
        carried = pickle.dumps((error, error.__cause__))
        pickle.loads(carried)  # many exceptions pickle but do not come back
    except Exception:  # noqa: BLE001 - whatever it is, the error travels as text then
        carried = pickle.dumps((error, None)) if isinstance(error, EpisodeError) else b""
    return Failure(round_number, carried, repr(error), text)


def rebuilt(failure: Failure) -> Exception:
    """Return a worker's error, with its cause and traceback."""
    if not failure.error:
        return RuntimeError(failure.text)
    error: Exception
    error, cause = pickle.loads(failure.error)
    if isinstance(error, EpisodeError):
        error = EpisodeError(error.where, error.keys, error.reason, failure.remote_traceback)
    error.__cause__ = cause
    return error


def raised_by(worker: int, failure: Failure) -> WorkerError:
    """Return the error that says what a worker raised outside of an episode."""
    error = WorkerError(
        f"worker {worker} raised {failure.text}.\n\nIn the worker:\n{failure.remote_traceback}"
    )
    error.__cause__ = rebuilt(failure)
    return error
