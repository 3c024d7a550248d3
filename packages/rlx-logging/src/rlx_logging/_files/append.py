"""A file that only grows, by whole pieces: one write call each, so a killed process loses none."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeAlias

from rlx_logging._files.atomic import write_atomically

if sys.platform == "win32":
    _FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_BINARY | os.O_NOINHERIT
else:
    _FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC

Span: TypeAlias = tuple[int, int]
_FILLER: Final = b"\n"  # an empty line to those who read text, no record to those who read a journal


class AppendFile:
    """Appends pieces to a file; several processes may append to the same one.

    Everyone who has the file open holds a shared lock on it, so that who repairs it
    knows whether others may be writing.

    Args:
        path: The file; made if it is not there.
        exclusive: Refuse a file that is there already.

    Raises:
        FileExistsError: If `exclusive` and the file is there.
    """

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        self.path = path
        self._fd = -1
        self._open(_FLAGS | (os.O_EXCL if exclusive else 0))

    def _open(self, flags: int) -> None:
        while True:
            self._fd = os.open(self.path, flags, 0o644)
            _share(self._fd)
            if _is_at(self._fd, self.path):
                return
            self.close()  # replaced while this process waited for its lock

    def append(self, piece: bytes) -> None:
        """Write `piece` whole, or raise and leave no part of it behind.

        A part that stands before what another process wrote cannot be cut off: empty
        lines are left in its place.

        Raises:
            OSError: If the system does not take it, as on a full disk.
        """
        written = os.write(self._fd, piece)
        if written != len(piece):
            self._complete(piece, written)

    def _complete(self, piece: bytes, written: int) -> None:
        """Write the rest after a short write; if there is no room for it, take the part back."""
        spans = [self._span(written)]
        try:
            while written < len(piece):
                count = os.write(self._fd, piece[written:])
                spans.append(self._span(count))
                written += count
        except OSError:
            self._take_back(spans)
            raise
        if not _joined(spans):  # another process wrote between the parts
            self._blank(spans)
            self.append(piece)

    def _span(self, count: int) -> Span:
        """Return where the last `count` bytes that were written here are; the file's position is their end."""
        end = os.lseek(self._fd, 0, os.SEEK_CUR)
        return end - count, end

    def _take_back(self, spans: list[Span]) -> None:
        alone = _take_alone(self._fd)
        try:
            if alone and _joined([*spans, (self.size, self.size)]):
                os.ftruncate(self._fd, spans[0][0])
            else:
                self._blank(spans)
        finally:
            _share(self._fd)

    def _blank(self, spans: list[Span]) -> None:
        with suppress(OSError), self.path.open("r+b") as file:
            for start, end in spans:
                file.seek(start)
                file.write(_FILLER * (end - start))

    def replace(self, content: bytes) -> None:
        """Put `content` in the place of the whole file at once.

        Raises:
            BlockingIOError: If another process has the file open.
            OSError: If the system does not take it; the file is as it was.
        """
        if not _is_alone(self._fd):
            _share(self._fd)
            raise BlockingIOError(errno.EAGAIN, "another process has the file open", str(self.path))
        before = self._fd
        if sys.platform == "win32":  # which replaces no open file
            self.close()
        try:
            write_atomically(self.path, content)
            self._open(_FLAGS)
        finally:
            if self._fd < 0:
                self._open(_FLAGS)
            elif self._fd == before:
                _share(before)
            else:
                os.close(before)  # only now: who waited for its lock finds the new file

    def end_last_line(self) -> None:
        """Close a line of text that a power failure tore, so that the next one starts on its own."""
        with self.path.open("rb") as reader:
            if self.size:
                reader.seek(-1, os.SEEK_END)
                if reader.read(1) != b"\n":
                    self.append(b"\n")

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._fd).st_size

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        os.fsync(self._fd)

    def __del__(self) -> None:
        """Close the file of a logger that was forgotten."""
        self.close()

    def close(self) -> None:
        """Close the file; calling it twice is allowed."""
        fd, self._fd = self._fd, -1  # never append to whatever gets this number next
        if fd >= 0:
            os.close(fd)


def _joined(spans: list[Span]) -> bool:
    return all(first[1] == second[0] for first, second in pairwise(spans))


def _share(fd: int) -> None:
    """Lock a file together with others; wait while someone repairs it, which takes microseconds."""
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_SH)


def _is_at(fd: int, path: Path) -> bool:
    """Tell whether an open file is the one that `path` names."""
    if sys.platform == "win32":  # a file that is open is not replaced there
        return True
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))  # noqa: PTH116 - a microsecond of pathlib's less
    except FileNotFoundError:
        return False


def _is_alone(fd: int) -> bool:
    """Lock a file against others; return False if one has it open, True also where nobody can tell."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _take_alone(fd: int) -> bool:
    """Lock a file against others; return whether none has it open."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
