"""Temporary files that say whether their writer still lives, by the kernel's lock on them."""

import contextlib
import os
from collections.abc import Generator
from pathlib import Path
from typing import IO, Final

from rlx_snapshot import _platform

_SUFFIX: Final = ".rlxtmp"


@contextlib.contextmanager
def temporary_beside(target: Path) -> Generator[tuple[Path, IO[bytes]], None, None]:
    """A new file in the directory of `target`, locked while open, removed unless it was renamed.

    Yields:
        Its path and the unbuffered binary file.
    """
    path, file = create_locked(target)
    try:
        with file:
            yield path, file
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def sweep_abandoned(directory: Path) -> None:
    """Remove the temporary files of writers that died; those of living ones stay."""
    with os.scandir(directory) as entries:
        names = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
    for name in names:
        with contextlib.suppress(OSError):
            _remove_if_abandoned(directory / name)


def hidden_name(target: Path) -> Path:
    """A new name for a temporary file beside `target`."""
    return target.with_name(f".{target.name}.{os.urandom(8).hex()}{_SUFFIX}")


def create_locked(target: Path) -> tuple[Path, IO[bytes]]:
    """A new temporary file beside `target`, open for writing and locked."""
    while True:
        path = hidden_name(target)
        file = path.open("xb", buffering=0)
        try:
            _lock(file.fileno(), wait=True)
            if os.fstat(file.fileno()).st_nlink:  # a sweep may have come between creation and lock
                return path, file
        except BaseException:
            file.close()
            path.unlink(missing_ok=True)
            raise
        file.close()


def _remove_if_abandoned(path: Path) -> None:
    with path.open("rb") as file:
        if not _lock(file.fileno(), wait=False):
            return
        if _platform.WINDOWS:  # there an open file cannot be removed, which is the lock
            file.close()
        path.unlink()


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file for its writer; False means that a living writer holds it.

    File systems without locks answer with an error: such a file counts as
    locked for a sweep, and as its writer's own for the writer.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return wait
    return True
