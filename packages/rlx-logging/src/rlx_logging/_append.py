"""A file that only grows, by whole pieces: one write call each, so a killed process loses none."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

if sys.platform == "win32":
    _FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_BINARY | os.O_NOINHERIT
else:
    _FLAGS: Final = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class AppendFile:
    """Appends pieces to a file; several processes may append to the same one.

    Args:
        path: The file; made if it is not there.
        exclusive: Refuse a file that is there already.

    Raises:
        FileExistsError: If `exclusive` and the file is there.
    """

    def __init__(self, path: Path, *, exclusive: bool = False) -> None:
        self.path = path
        self._fd = -1
        self._fd = os.open(path, _FLAGS | (os.O_EXCL if exclusive else 0), 0o644)

    def append(self, piece: bytes) -> None:
        """Write `piece` whole, or raise and leave no part of it behind.

        Raises:
            OSError: If the system does not take it, as on a full disk.
        """
        written = os.write(self._fd, piece)
        if written != len(piece):
            self._complete(piece, written)

    def _complete(self, piece: bytes, written: int) -> None:
        """Write the rest after a short write; if there is no room for it, take the part back."""
        try:
            while written < len(piece):
                written += os.write(self._fd, piece[written:])
        except OSError:
            os.ftruncate(self._fd, os.fstat(self._fd).st_size - written)
            raise

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
