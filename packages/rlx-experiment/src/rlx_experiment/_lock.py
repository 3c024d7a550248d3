"""The kernel's file lock on ``run.lock``: the truth about whether a run lives."""

import os
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOCK_FILE: Final = "run.lock"
_PATIENCE: Final = 0.5
"""Seconds to wait for a lock that a reader of the status holds for an instant."""


class RunLiveError(RuntimeError):
    """The run folder belongs to a process that is still running."""

    def __init__(self, path: Path) -> None:
        """Say which folder is in use."""
        super().__init__(
            f"the run in {path} is still running; wait for its end, stop it, or choose another folder"
        )
        self.path = path


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """A lock among processes, waited for, on a file that is made for it and stays."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        while not _try_lock(self._descriptor):
            time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


class RunLock:
    """The lock of one run folder, held from construction to `close`.

    The kernel lets go when the process ends, however it ends. Forked children close their copy at once, so
    a worker that outlives its parent does not keep a dead run alive.

    Raises:
        RunLiveError: Another process holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(self._descriptor):
            if time.monotonic() > deadline:
                self.close()
                raise RunLiveError(folder)
            time.sleep(0.005)
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=_closer(weakref.ref(self)))

    def close(self) -> None:
        """Let go of the lock; calling it twice is allowed."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _closer(lock: "weakref.ref[RunLock]") -> Callable[[], None]:
    def close() -> None:
        alive = lock()
        if alive is not None:
            alive.close()

    return close


def is_held(folder: Path) -> bool:
    """Return whether some process holds the lock of the run in `folder`."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR)
    except FileNotFoundError:
        return False
    except PermissionError:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY)
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)
