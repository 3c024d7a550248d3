"""A file that is written once as a whole and afterwards, while nobody else uses it, only where it is out of date."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from rlx_snapshot._format.stream import Part
from rlx_snapshot._saving.arena import Copied
from rlx_snapshot._saving.dirty_pages import Range
from rlx_snapshot._saving.output import write_parts_at
from rlx_snapshot._storage.temporary import create_locked

Layout = tuple[tuple[int, int], ...]
"""Offset and length of every large buffer."""


class Slot:
    """A file of ours: its name, its open descriptor, and which ranges of its buffers are out of date."""

    def __init__(self, path: Path, descriptor: int, layout: Layout) -> None:
        self.path = path
        self.descriptor = descriptor
        self.layout = layout
        self.stale: list[list[Range]] = [[] for _ in layout]
        self._process = os.getpid()

    def note(self, changed: Sequence[Sequence[Range]]) -> None:
        """Remember what has changed since this file was written."""
        for known, new in zip(self.stale, changed, strict=True):
            known[:] = _merged([*known, *new])

    def stale_bytes(self) -> int:
        """How much of the buffers is out of date."""
        return sum(last - first for ranges in self.stale for first, last in ranges)

    def patch(self, copied: Copied, parts: Sequence[Part]) -> None:
        """Write what is out of date, and all that lies between the buffers: the file then holds `parts`."""
        stale_at = dict(zip(copied.captured.positions, self.stale, strict=True))
        offset = 0
        for position, part in enumerate(parts):
            if position not in stale_at:
                write_parts_at(self.descriptor, [part], offset)
            for first, last in stale_at.get(position, ()):
                write_parts_at(self.descriptor, [memoryview(part)[first:last]], offset + first)
            offset += len(part)
        os.ftruncate(self.descriptor, offset)

    def is_ours_alone(self) -> bool:
        """Whether the file has no other name, and is open or mapped nowhere else: only then a write lease is granted."""
        try:
            import fcntl
            import signal

            if os.fstat(self.descriptor).st_nlink != 1 or not self.path.exists():
                return False
            # Whoever opens the file meanwhile must not end this program.
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except (OSError, ImportError, AttributeError):
            return False
        return True

    def close(self) -> None:
        """Let go of the file, which stays."""
        with contextlib.suppress(OSError):  # of a file that is safe, or not wanted any more
            os.close(self.descriptor)

    def discard(self) -> None:
        """Remove the file, unless this is a fork's copy of the object, and let go of it."""
        if self._process == os.getpid():
            with contextlib.suppress(OSError):
                self.path.unlink()
        self.close()


def new_slot(target: Path, layout: Layout, parts: Sequence[Part]) -> Slot:
    """A file with a hidden name beside `target` that holds `parts`."""
    path, file = create_locked(target)
    with file:  # the lock belongs to the open file, which the copy of its descriptor keeps open
        slot = Slot(path, os.dup(file.fileno()), layout)
    try:
        write_parts_at(slot.descriptor, parts, 0)
    except BaseException:
        slot.discard()
        raise
    return slot


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
