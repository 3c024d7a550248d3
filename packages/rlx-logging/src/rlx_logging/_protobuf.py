"""Just enough of protobuf's wire format to read TensorBoard events without its library."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_FIXED64: Final = 1
_BYTES: Final = 2
_FIXED32: Final = 5


def fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and content of every field: an int for a varint, the raw bytes for others.

    Raises:
        ValueError: If the message is cut short or uses a wire type that is not known.
    """
    position, end = 0, len(data)
    while position < end:
        key, position = varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = varint(data, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = varint(data, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"unknown wire type {wire} at byte {position}.")
        if position + length > end:
            raise ValueError(f"field {number} is cut short at byte {position}.")
        yield number, data[position : position + length]
        position += length


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return the number at `position` and the position after it."""
    value = shift = 0
    while position < len(data) and shift < 70:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError(f"a number is cut short at byte {position}.")


def as_signed(value: int) -> int:
    """Return a 64-bit varint as the signed number it stands for."""
    value &= 0xFFFFFFFFFFFFFFFF
    return value - 2**64 if value >= 2**63 else value


def as_double(data: memoryview) -> float:
    """Return the float64 in 8 bytes."""
    number: float = struct.unpack("<d", data)[0]
    return number


def as_float(data: memoryview) -> float:
    """Return the float32 in 4 bytes."""
    number: float = struct.unpack("<f", data)[0]
    return number
