"""One thread that carries out jobs in order, and hands their errors back."""

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_log: Final = logging.getLogger(__name__)


class Background:
    """Runs one job at a time in a thread that lives until `close` or the end of the program.

    Jobs passed before the program ends are finished before it ends. An error
    is logged at once and raised once, by the next call.

    Args:
        purpose: What the jobs do, for the thread's name and the log.
    """

    def __init__(self, purpose: str) -> None:
        self._purpose = purpose
        self._threads: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        self._process = os.getpid()

    def submit(self, job: Callable[[], None]) -> None:
        """Start `job` once the one before it is done; raises the error of that one."""
        self.wait()
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor  # not at import, which would take milliseconds

            self._threads = ThreadPoolExecutor(
                max_workers=1, thread_name_prefix=f"rlx-snapshot {self._purpose}"
            )
        self._pending = self._threads.submit(self._run, job)

    def wait(self) -> None:
        """Return when nothing is left to do; raises the error of the last job, once."""
        if self._process != os.getpid():  # a fork took over the object but not the thread
            self._process, self._pending, self._threads = os.getpid(), None, None
        if self._pending is not None:
            self._pending.exception()  # which waits; if that is interrupted, there is still something to wait for
            pending, self._pending = self._pending, None
            pending.result()

    def raise_failure(self) -> None:
        """Raise the error of a job that has failed; returns at once while one is running."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def close(self) -> None:
        """Finish the work and end the thread; a later `submit` starts another."""
        try:
            self.wait()
        finally:
            threads, self._threads = self._threads, None
            if threads is not None:
                threads.shutdown()

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException:
            _log.exception("failed in the background: %s", self._purpose)
            raise
