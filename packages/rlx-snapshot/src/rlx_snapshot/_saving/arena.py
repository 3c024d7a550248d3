"""Memory that a background save is written from, kept from one save to the next."""

import mmap
from collections.abc import Sequence
from typing import Final, NamedTuple

from rlx_snapshot import _platform
from rlx_snapshot._format.layout import CHUNK, PAGE
from rlx_snapshot._format.stream import Capture, Part
from rlx_snapshot._saving.dirty_pages import ChangeTracker, Range

TRACKED_FROM: Final = CHUNK


class Copied(NamedTuple):
    """A captured state that nothing can change any more, and what is new in it."""

    captured: Capture
    changed: Sequence[Sequence[Range]]
    """For each buffer the ranges that may differ from the copy before, all of it where unknown."""


class Arena:
    """Room for copies of a state's large buffers; of those that were copied before, only changes are copied."""

    def __init__(self, tracker: ChangeTracker) -> None:
        self._tracker = tracker
        self._memory = memoryview(b"")
        self._lengths: list[int] = []
        self._addresses: list[int | None] = []

    def copy_of(self, captured: Capture) -> Copied:
        """`captured` with nothing left in it that the training program could change.

        Valid until the next call. MemoryError or OSError if there is no room.
        """
        views = [memoryview(captured.parts[position]) for position in captured.positions]
        before = self._reserve([view.nbytes for view in views])
        self._addresses = [None for _ in views]  # until all is copied, nothing is known
        addresses, ranges = self._changes(views, before)
        parts: list[Part] = list(captured.parts)
        start = 0
        for position, live, changed in zip(captured.positions, views, ranges, strict=True):
            copy = self._memory[start : start + live.nbytes]
            for first, last in changed:
                copy[first:last] = live[first:last]
            parts[position] = copy.toreadonly()
            start += _rounded(live.nbytes)
        self._addresses = addresses
        return Copied(captured._replace(parts=parts), ranges)

    def _reserve(self, lengths: list[int]) -> list[int | None]:
        """Make room, and return where the copies that are still there came from."""
        if lengths == self._lengths:
            return self._addresses
        self._lengths = []
        size = sum(map(_rounded, lengths))
        if size > len(self._memory):
            self._memory = memoryview(b"")  # free the old room before asking for more
            self._memory = memoryview(_room(size))
        self._lengths = lengths
        return [None for _ in lengths]

    def _changes(
        self, views: Sequence[memoryview], before: Sequence[int | None]
    ) -> tuple[list[int | None], list[list[Range]]]:
        addresses = [_address(view) if view.nbytes >= TRACKED_FROM else None for view in views]
        tracked = [number for number, address in enumerate(addresses) if address is not None]
        answers = self._tracker.changes(
            [(addresses[number] or 0, views[number].nbytes) for number in tracked]
        )
        ranges = [[(0, view.nbytes)] for view in views]
        for number, answer in zip(tracked, answers, strict=True):
            if answer is None:
                addresses[number] = None
            elif before[number] == addresses[number]:
                ranges[number] = answer
        return addresses, ranges


def _room(size: int) -> mmap.mmap:
    if _platform.WINDOWS:
        return mmap.mmap(-1, size)
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _address(view: memoryview) -> int | None:
    """Where the memory of a view lies, None for memory that cannot be written to."""
    import ctypes  # not at the top: milliseconds that only background saves are to pay

    return None if view.readonly else ctypes.addressof(ctypes.c_char.from_buffer(view))


def _rounded(length: int) -> int:
    return length + -length % PAGE
