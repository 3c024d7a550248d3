"""Being asked to stop: by a signal, or by whoever owns the signals."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from rlx_runner._progress import Progress
from rlx_runner._snapshots import Snapshots

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSwitch:
    """Says whether the run should end at the next point where it can be resumed.

    Args:
        asked: Somebody else's answer, who then also owns the signals; None: SIGINT and
            SIGTERM are listened to while :meth:`listening`.
    """

    def __init__(self, asked: Callable[[], bool] | None = None) -> None:
        if asked is not None and not callable(asked):
            raise TypeError(f"stop_requested is {asked!r}; it must be a function without arguments.")
        self._asked = asked
        self._signalled = False

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._signalled if self._asked is None else self._asked()

    @contextmanager
    def listening(self) -> Generator[None]:
        """Listen to the signals: the first one asks to stop, the second one ends the process at once."""
        if self._asked is not None or threading.current_thread() is not threading.main_thread():
            yield
            return
        self._signalled = False
        before = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._signalled:
            raise SystemExit(128 + number)
        self._signalled = True


def stop_message(progress: Progress, snapshots: Snapshots) -> str:
    """Return in words where a stopped run stands and how it goes on."""
    stopped = f"Stopped after {progress.epoch} epochs."
    newest = snapshots.newest
    if newest is None:
        return f"{stopped} Nothing is saved (snapshot_mode={snapshots.mode!r}): it can only begin again."
    return f"{stopped} It resumes with epoch {newest + 1} from {snapshots.directory}."
