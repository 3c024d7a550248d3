"""Finds the undamaged records of a TensorBoard event file."""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, Final

from rlx_logging._tensorboard.crc32c import fastest_crc32c, mask

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEAD: Final = 12  # length u64, its masked checksum u32
TAIL: Final = 4  # masked checksum of the data
_FEWEST: Final = 8  # records below which numpy does not pay
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")


class RecordScan:
    """One pass over the records of a file.

    Attributes:
        starts: Where the data of every undamaged record starts, by its length.
        damaged: Stretches that hold no whole record.
    """

    def __init__(self, data: bytes) -> None:
        self.starts: dict[int, array[int]] = {}
        self.damaged = 0
        self._data = data
        self._view = memoryview(data)
        self._crc32c = fastest_crc32c()

    def run(self) -> None:
        """Walk through the file; after damage continue with the next record whose head is right."""
        position, end = 0, len(self._data)
        while position < end:
            length = self._length(position)
            if length is not None and self._is_whole(position, length):
                count = self._count_alike(position, length)
                size = HEAD + length + TAIL
                first = position + HEAD
                self.starts.setdefault(length, array("q")).extend(range(first, first + count * size, size))
                position += count * size
                continue
            self.damaged += 1
            if length is not None and self._is_head(position):
                position += HEAD + length + TAIL
            else:
                position = self._next_head(position + 1)

    def _length(self, position: int) -> int | None:
        """Return the length that stands at `position`, None if no such record fits into the file."""
        if position + HEAD + TAIL > len(self._data):
            return None
        length: int = _LENGTH.unpack_from(self._data, position)[0]
        return length if position + HEAD + length + TAIL <= len(self._data) else None

    def _is_whole(self, position: int, length: int) -> bool:
        start = position + HEAD
        (checksum,) = _CRC.unpack_from(self._data, start + length)
        return bool(checksum == mask(self._crc32c(self._view[start : start + length])))

    def _is_head(self, position: int) -> bool:
        (checksum,) = _CRC.unpack_from(self._data, position + 8)
        return bool(checksum == mask(self._crc32c(self._view[position : position + 8])))

    def _count_alike(self, position: int, length: int) -> int:
        """Return how many whole records of this length follow each other, this one included."""
        size = HEAD + length + TAIL
        far = position + (_FEWEST - 1) * size
        if self._data[far : far + HEAD] != self._data[position : position + HEAD]:
            return 1
        count, window = 0, 64
        while True:
            start = position + count * size
            most = min(window, (len(self._data) - start) // size)
            found = self._count_in_window(start, length, most) if most else 0
            count += found
            if found < window:
                return count
            window *= 4

    def _count_in_window(self, position: int, length: int, count: int) -> int:
        import numpy as np

        size = HEAD + length + TAIL
        lengths = np.ndarray((count,), "<u8", self._data, position, (size,))
        crcs = np.ndarray((count,), "<u4", self._data, position + 8, (size,))
        alike = _leading((lengths == length) & (crcs == mask(self._crc32c(_LENGTH.pack(length)))))
        return _leading(self._are_whole(position + HEAD, length, alike))

    def _are_whole(self, first: int, length: int, count: int) -> NDArray[np.bool_]:
        import numpy as np

        size = HEAD + length + TAIL
        view, crc32c = self._view, self._crc32c
        starts = range(first, first + count * size, size)
        computed = np.array([crc32c(view[start : start + length]) for start in starts], np.uint32)
        masked = (computed >> np.uint32(15) | computed << np.uint32(17)) + np.uint32(0xA282EAD8)
        stored = np.ndarray((count,), "<u4", self._data, first + length, (size,))
        same: NDArray[np.bool_] = masked == stored
        return same

    def _next_head(self, position: int) -> int:
        """Return the next position whose eight bytes have the checksum that follows them; the end if none has."""
        import numpy as np

        end = len(self._data)
        if position + HEAD > end:
            return end
        high = np.ndarray((end - position - HEAD + 1,), "<u4", self._data, position + 4, (1,))
        for candidate in np.flatnonzero(high == 0):  # records of 4 GiB and more do not occur
            if self._is_head(position + int(candidate)):
                return position + int(candidate)
        return end


def _leading(flags: NDArray[np.bool_]) -> int:
    """Return how many flags are set before the first that is not."""
    return len(flags) if flags.all() else int(flags.argmin())
