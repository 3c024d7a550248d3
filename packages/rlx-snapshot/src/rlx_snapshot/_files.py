"""What lies in a snapshot directory, and how one file of it is opened."""

import os
import stat
from pathlib import Path
from typing import IO, Final

from rlx_snapshot._errors import NotAFileError, SnapshotNotFoundError
from rlx_snapshot._modes import LATEST, iteration_of, numbered

_KINDS: Final = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def numbered_iterations(directory: Path) -> list[int]:
    """The iterations that have a file of their own, in ascending order of number."""
    found = (iteration_of(path.name) for path in directory.iterdir())
    return sorted(itr for itr in found if itr is not None)


def path_of(directory: Path, itr: int | str) -> Path:
    """The file of iteration `itr`, a number, a string of digits, 'first' or 'last'.

    Raises:
        ValueError: If `itr` is another string.
        SnapshotNotFoundError: If there is no such file.
    """
    name = _name_of(directory, itr)
    if name is None or not os.path.lexists(directory / name):
        raise SnapshotNotFoundError(itr, str(directory), available(directory))
    return directory / name


def available(directory: Path) -> list[str]:
    """What `path_of` would find in `directory`, for a message."""
    if not directory.is_dir():
        return []
    held = [str(itr) for itr in numbered_iterations(directory)]
    return [*held, LATEST] if os.path.lexists(directory / LATEST) else held


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; anything else raises NotAFileError at once, without blocking."""
    _refuse_other_kinds(path)
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    file = os.fdopen(descriptor, "rb")
    try:
        _refuse_kind(path, os.fstat(descriptor).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def _name_of(directory: Path, itr: int | str) -> str | None:
    if isinstance(itr, str) and not (itr.isascii() and itr.isdigit()):
        if itr not in {"first", "last"}:
            raise ValueError(f"itr is {itr!r}: it must be an iteration number, 'first' or 'last'")
        return _end_of(directory, itr)
    return numbered(int(itr))


def _end_of(directory: Path, end: str) -> str | None:
    held = numbered_iterations(directory) if directory.is_dir() else []
    has_latest = os.path.lexists(directory / LATEST)
    if has_latest and (end == "last" or not held):
        return LATEST
    if not held:
        return None
    return numbered(held[0] if end == "first" else held[-1])


def _refuse_other_kinds(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise NotAFileError(path, "link to nothing") from None
        raise
    _refuse_kind(path, mode)


def _refuse_kind(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotAFileError(path, _KINDS.get(stat.S_IFMT(mode), "special file"))
