"""Memory that a background save is written from, kept from one save to the next."""

import mmap

from rlx_snapshot._layout import PAGE
from rlx_snapshot._stream import Capture, Part


class Arena:
    """Room for copies of a state's large buffers; memory that was touched before is quick to copy to."""

    def __init__(self) -> None:
        self._memory = memoryview(b"")

    def copy_of(self, captured: Capture) -> Capture:
        """`captured` with nothing left in it that the training program could change.

        Valid until the next call. MemoryError or OSError if there is no room.
        """
        self._reserve(sum(_rounded(buffer.length) for buffer in captured.buffers))
        parts: list[Part] = list(captured.parts)
        start = 0
        for position in captured.positions:
            live = memoryview(parts[position])
            copy = self._memory[start : start + live.nbytes]
            copy[:] = live
            parts[position] = copy.toreadonly()
            start += _rounded(live.nbytes)
        return captured._replace(parts=parts)

    def release(self) -> None:
        """Give the memory back."""
        self._memory = memoryview(b"")

    def _reserve(self, size: int) -> None:
        if size > len(self._memory):
            self.release()
            self._memory = memoryview(mmap.mmap(-1, size))


def _rounded(length: int) -> int:
    return length + -length % PAGE
