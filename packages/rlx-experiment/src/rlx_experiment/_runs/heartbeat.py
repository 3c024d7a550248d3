"""A sign of life for other hosts: the lock file's time, renewed while the run lives."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from rlx_experiment._lock import LOCK_FILE

_INTERVAL_S: Final = 10.0
_SILENCE_S: Final = 60.0
"""Age at which the last beat means nothing any more: network file systems show times late."""
_WATCH_S: Final = 25.0
"""How long a run that seems to live is watched before its folder is taken."""


class Heartbeat:
    """Renews the time of a run's lock file, every ten seconds, while it is entered as a context manager."""

    def __init__(self, folder: Path, interval: float = _INTERVAL_S) -> None:
        self._interval = interval
        self._file = folder / LOCK_FILE
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="rlx-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while True:
            with suppress(OSError):  # the folder was removed, or its file system does not answer
                os.utime(self._file)
            if self._ended.wait(self._interval):
                return


def beats(folder: Path) -> bool:
    """Return whether a run in `folder` showed life a short time ago, by this host's clock."""
    last = _last_beat(folder)
    return last is not None and abs(time.time() - last) < _SILENCE_S


def goes_on_beating(folder: Path) -> bool:
    """Return whether a run in `folder` shows life while it is watched; up to 25 s, and no clocks are compared."""
    if not beats(folder):
        return False
    first = _last_beat(folder)
    deadline = time.monotonic() + _WATCH_S
    while time.monotonic() < deadline:
        time.sleep(0.5)
        if _last_beat(folder) != first:
            return True
    return False


def _last_beat(folder: Path) -> float | None:
    try:
        descriptor = os.open(
            folder / LOCK_FILE, os.O_RDONLY
        )  # NFS asks the server again for a file that is opened
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
