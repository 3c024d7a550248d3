"""Talks to a service in a thread of its own, so that a slow or dead one never holds up training."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any, Final, TypeAlias

from rlx_logging._sending.reach import Knock

Job: TypeAlias = Callable[[Any], object]
_PATIENCE: Final = 1.0  # seconds for a server to answer in


class SendError(RuntimeError):
    """A service could not take something; the message holds no key."""


class Sender:
    """Starts a run and gives it jobs, one after the other, in the background.

    Args:
        start: Makes the run.
        name: What errors call the service.
        kept: Where errors say that what did not go out is.
        finish: Called with the run when the sender is closed.
        server: Returns the address of the server; None where none is needed.
        masked: Takes keys out of a text.
    """

    def __init__(
        self,
        start: Callable[[], Any],
        *,
        name: str,
        kept: str,
        finish: Callable[[Any], object],
        server: Callable[[], str | None] = lambda: None,
        masked: Callable[[str], str] = str,
    ) -> None:
        self._name = name
        self._kept = kept
        self._start = start
        self._finish = finish
        self._server = server
        self._masked = masked
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._errors: SimpleQueue[Exception] = SimpleQueue()
        self._started = threading.Event()
        self._run: Any = None
        self._refused: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=f"rlx-logging to {name}", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> None:
        """Queue a job.

        Raises:
            SendError: If the run could not be started, or if an earlier job failed, which is said once.
        """
        if self._refused is None:  # else nobody would ever take it
            self._jobs.put(job)
        self._raise_first_error()

    def _raise_first_error(self) -> None:
        if self._refused is not None:
            raise SendError(
                self._masked(f"no run could be started ({type(self._refused).__name__}: {self._refused})")
            )
        if not self._errors.empty():
            error = self._errors.get()
            raise SendError(self._masked(f"{type(error).__name__}: {error}"))  # a cause would tell the key

    def run(self, seconds: float) -> Any:
        """Return the run; wait for it to start, None if that takes longer or fails."""
        self._started.wait(seconds)
        return self._run

    def close(self, seconds: float, last: Iterable[Job] = ()) -> None:
        """Do what is queued, then the `last` jobs, and finish the run, within limits.

        A server that cannot be reached is waited for no longer than a second.

        Raises:
            TimeoutError: If the service takes longer than `seconds`, or its server cannot be reached.
            SendError: If something failed and was not raised yet.
        """
        for job in last:
            self._jobs.put(job)
        self._jobs.put(None)
        reached = self._join(seconds)
        if self._thread.is_alive():
            what = f"did not finish within {seconds:.0f} s" if reached else "cannot be reached"
            raise TimeoutError(f"{self._name} {what}; {self._kept}")
        self._raise_first_error()

    def _join(self, seconds: float) -> bool:
        """Wait for the thread as long as there is hope; return whether there is."""
        server, end = self._server(), time.monotonic() + seconds
        while self._thread.is_alive() and (left := end - time.monotonic()) > 0:
            knock = None if server is None else Knock(server, _PATIENCE)
            self._thread.join(min(left, _PATIENCE))
            if knock is not None and not knock.answered:
                return False
        return True

    def _work(self) -> None:
        try:
            self._run = self._start()
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            self._refused = error
            return
        finally:
            self._started.set()
        while (job := self._jobs.get()) is not None:
            self._attempt(job)
        self._attempt(self._finish)

    def _attempt(self, job: Job) -> None:
        try:
            job(self._run)
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            self._errors.put(error)
