"""Signals as a request to stop at the next good moment."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, Self

from rlx_experiment._terminal import notify

_STOPPING: Final = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if name in signal.Signals.__members__
)
_SECONDS_OF_ONE_REQUEST: Final = 5.0
"""A scheduler may send SIGTERM several times for one stop: Slurm does so within 60 ms at a preemption."""


class StopRequest:
    """A flag that a signal raises while this is entered as a context manager.

    The first signal raises the flag. A second request, SIGINT or a SIGTERM that comes later than some seconds, ends the
    program by ``SystemExit(128 + signal)``, which lets ``finally`` blocks run; a third ends it without them. In a job of
    Slurm, which sends SIGTERM more than once and SIGKILL in the end, SIGTERM is never a second request. SIGUSR1 and
    SIGUSR2, early warnings of schedulers, only raise the flag. Outside the main thread no handler is installed, and a
    signal that was ignored stays so. Entered inside another one (a run inside a run), the flag goes up in both.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.requested = False
        self._clock = clock
        self._count = 0
        self._latest = 0.0
        self._pid = os.getpid()
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _STOPPING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self._before.clear()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Handle one signal."""
        if os.getpid() != self._pid:
            _handle_in_worker(number)
            return
        self.request()
        if number not in (signal.SIGINT, signal.SIGTERM) or self._repeats_the_last(number):
            return
        self._count += 1
        self._latest = self._clock()
        if self._count == 1:
            name = signal.Signals(number).name
            notify(f"{name}: stopping at the next good moment; once more stops now")
        elif self._count == 2:
            raise SystemExit(128 + number)
        else:
            os._exit(128 + number)

    def _repeats_the_last(self, number: int) -> bool:
        """Whether a signal belongs to a request that was made already."""
        if number == signal.SIGINT or self._count == 0:
            return False
        return "SLURM_JOB_ID" in os.environ or self._clock() - self._latest < _SECONDS_OF_ONE_REQUEST

    def request(self) -> None:
        """Raise the flag, here and in the run that this one was started from."""
        self.requested = True
        for outer in self._before.values():
            if isinstance(outer, StopRequest):
                outer.request()


def request_stop() -> None:
    """Raise the flag of the run that is under way in this process, if there is one, as a signal would."""
    handler = signal.getsignal(signal.SIGTERM)
    if isinstance(handler, StopRequest):
        handler.request()


def _handle_in_worker(number: int) -> None:
    """Do in a forked child what it did without us: die of SIGTERM; but leave Ctrl-C to the parent."""
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
