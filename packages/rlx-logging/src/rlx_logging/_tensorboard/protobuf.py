"""Just enough of protobuf's wire format to find things in a message without its library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_SIZES: Final = {FIXED64: 8, FIXED32: 4}


class Field(NamedTuple):
    """Where the content of a field is."""

    number: int
    wire: int
    start: int
    stop: int


def fields(data: bytes | memoryview, start: int, stop: int) -> Iterator[Field]:
    """Yield the fields of the message that is ``data[start:stop]``.

    Raises:
        ValueError: If the message is cut short or uses a wire type that is not known.
    """
    while start < stop:
        key, start = varint(data, start, stop)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            end = varint(data, start, stop)[1]
        elif wire == BYTES:
            length, start = varint(data, start, stop)
            end = start + length
        elif wire in _SIZES:
            end = start + _SIZES[wire]
        else:
            raise ValueError(f"unknown wire type {wire} before byte {start}.")
        if end > stop:
            raise ValueError(f"field {number} is cut short at byte {start}.")
        yield Field(number, wire, start, end)
        start = end


def varint(data: bytes | memoryview, position: int, stop: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it."""
    value = shift = 0
    while position < stop and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"a number is cut short at byte {position}.")
