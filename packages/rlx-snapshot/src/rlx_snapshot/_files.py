"""What lies in a snapshot directory, and how one file of it is opened."""

import os
import stat
from pathlib import Path
from typing import IO, Final

from rlx_snapshot._errors import NotAFileError
from rlx_snapshot._modes import LATEST, iteration_of

_KINDS: Final = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
}


def numbered_iterations(directory: Path) -> list[int]:
    """The iterations that have a file of their own, in ascending order of number."""
    if not directory.is_dir():
        return []
    found = (iteration_of(path.name) for path in directory.iterdir())
    return sorted(itr for itr in found if itr is not None)


def latest_path(directory: Path) -> Path | None:
    """The file that is replaced at each save, if there is one."""
    path = directory / LATEST
    return path if os.path.lexists(path) else None


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file for reading; anything else raises NotAFileError at once, without blocking."""
    _refuse_other_kinds(path)
    descriptor = os.open(path, os.O_RDONLY | _flag("O_NONBLOCK") | _flag("O_BINARY"))
    file = os.fdopen(descriptor, "rb")
    try:
        _refuse_kind(path, os.fstat(descriptor).st_mode)
    except BaseException:
        file.close()
        raise
    return file


def _flag(name: str) -> int:
    """A flag of `os.open`, nothing where the platform does not have it."""
    return int(getattr(os, name, 0))


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
