"""Being asked to stop: by a signal, or by whoever owns the signals."""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from rlx_runner._checks import check_function
from rlx_runner._learners.group import Group
from rlx_runner._progress import Progress
from rlx_runner._snapshots import Snapshots

STOP_SIGNALS: Final = tuple(
    signal.Signals[name]
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
    if name in signal.Signals.__members__
)
SECONDS_OF_ONE_REQUEST: Final = 5.0
"""A scheduler may send SIGTERM several times for one stop: Slurm does so within 60 ms at a preemption."""


class StopSwitch:
    """Says whether the run should end at the next point where it can be resumed.

    Args:
        asked: Somebody else's answer, who then also owns the signals; None: SIGINT, SIGTERM,
            SIGUSR1 and SIGUSR2 are listened to while `listening`.
        group: The processes that train together, and stop together.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        asked: Callable[[], bool] | None = None,
        *,
        group: Group | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_function("stop_requested", asked, "a function without arguments")
        self._asked = asked
        self._group = Group() if group is None else group
        self._agreed = False
        self._clock = clock
        self._signalled = False
        self._latest = 0.0
        self._process = os.getpid()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for; of several processes what they have last agreed on."""
        return self._agreed if self._group.size > 1 else self._asked_here

    def agree(self, ends_here: bool = False) -> bool:
        """Return whether a stop was asked for in any of the processes that train together, or one ends for another reason.

        All must call this at the same point of the run.
        """
        if self._group.size == 1:
            return ends_here or self._asked_here
        self._agreed, ends = self._group.any(self._asked_here, ends_here)
        return self._agreed or ends

    @property
    def _asked_here(self) -> bool:
        return self._signalled if self._asked is None else self._asked()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Listen to the signals: the first one asks to stop, a second request ends the process at once.

        A second request is SIGINT, or a SIGTERM that comes later than some seconds; in a job of Slurm, which sends
        SIGTERM more than once and SIGKILL in the end, only SIGINT. A signal that is ignored stays so, as Ctrl-C in a
        job that a shell has put in the background.
        """
        if self._asked is not None or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._signalled, self._process = False, os.getpid()
        heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._on_signal) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != self._process:
            _end_worker(number)
        elif self._signalled and self._is_second_request(number):
            raise SystemExit(128 + number)
        else:
            self._signalled, self._latest = True, self._clock()

    def _is_second_request(self, number: int) -> bool:
        if number != signal.SIGTERM:
            return number == signal.SIGINT
        return "SLURM_JOB_ID" not in os.environ and self._clock() - self._latest >= SECONDS_OF_ONE_REQUEST


def _end_worker(number: int) -> None:
    """Let SIGTERM end a forked child, as it would without us; Ctrl-C, which reaches it too, is for its parent."""
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


def stop_message(progress: Progress, snapshots: Snapshots) -> str:
    """Return in words where a stopped run stands and how it continues."""
    stopped = f"Stopped after {progress.epoch} epoch{'' if progress.epoch == 1 else 's'}."
    newest = snapshots.newest
    if newest is None:
        return f"{stopped} Nothing is saved (snapshot_mode={snapshots.mode!r}): it can only begin again."
    return f"{stopped} It resumes with epoch {newest + 1} from {snapshots.directory}."
