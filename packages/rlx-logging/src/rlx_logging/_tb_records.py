"""TensorBoard event records, packed without protobuf: one record with many scalars.

A TFRecord is length u64 | masked CRC-32C of it | data | masked CRC-32C of the data. The data is
an ``Event`` message: 1 wall_time double, 2 step varint, 5 summary { 1 value { 1 tag, 2 simple_value } }.
"""

from __future__ import annotations

import struct
from typing import Final

from rlx_logging._crc32c import fastest_crc32c, mask
from rlx_logging._numbers import to_floats
from rlx_logging._rows import Row

FLOAT32_MAX: Final = 3.4028234663852886e38
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_DOUBLE: Final = struct.Struct("<d")
STEP_BYTES: Final = 10  # the longest varint, so that all records of a layout are equally long
_ANNOUNCED: Final = 0x80808080_80808080_80  # the top bit of all bytes of a varint but the last


def frame(data: bytes) -> bytes:
    """Return `data` as one TFRecord."""
    crc32c = fastest_crc32c()
    length = _LENGTH.pack(len(data))
    return b"".join((length, _CRC.pack(mask(crc32c(length))), data, _CRC.pack(mask(crc32c(data)))))


def file_version(wall_time: float) -> bytes:
    """Return the record that every event file starts with."""
    return frame(b"\x09" + _DOUBLE.pack(wall_time) + b"\x1a\x0dbrain.Event:2")


def varint(number: int) -> bytes:
    """Return the shortest encoding of a number that is not negative."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def padded_varint(number: int) -> bytes:
    """Return a 64-bit number as a varint of ten bytes; negative ones in two's complement."""
    if 0 <= number < 1 << 28:  # four groups of seven bits, spread without a loop
        spread = number & 0x7F | (number & 0x3F80) << 1 | (number & 0x1FC000) << 2 | (number & 0xFE00000) << 3
        return (spread | _ANNOUNCED).to_bytes(STEP_BYTES, "little")
    number &= 0xFFFFFFFFFFFFFFFF
    return bytes([number >> 7 * i & 0x7F | 0x80 for i in range(9)]) + bytes([number >> 63])


class ScalarPacker:
    """Packs rows of one layout; everything that does not change is made once."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        values = [_value_head(tag) for tag in tags]
        summary = sum(len(head) + 4 for head in values)
        values[0] = b"\x2a" + varint(summary) + values[0]
        self._struct = struct.Struct("<cdc10s" + "".join(f"{len(head)}sf" for head in values))
        self._fields: list[bytes | float] = [field for head in values for field in (head, 0.0)]
        length = _LENGTH.pack(self._struct.size)
        self._crc32c = fastest_crc32c()
        self._head = length + _CRC.pack(mask(self._crc32c(length)))

    def pack(self, row: Row) -> bytes:
        """Return the whole TFRecord of `row`; numbers beyond float32 become the largest ones it has."""
        try:
            return self._pack(row.step, row.time, row.values)
        except (OverflowError, struct.error):
            return self._pack(row.step, row.time, tuple(map(to_float32, to_floats(row.values))))

    def _pack(self, step: int, time: float, values: tuple[float, ...]) -> bytes:
        fields = self._fields.copy()  # another thread may be packing too
        fields[1::2] = (step, *values)
        data = self._struct.pack(b"\x09", time, b"\x10", padded_varint(step), *fields)
        return self._head + data + _CRC.pack(mask(self._crc32c(data)))


def to_float32(value: float) -> float:
    """Return `value` brought into float32's range; NaN and infinities stay."""
    if value in (float("inf"), float("-inf")) or value != value:
        return value
    return max(-FLOAT32_MAX, min(FLOAT32_MAX, value))


def _value_head(tag: str) -> bytes:
    """Return the bytes of a summary value up to its number."""
    name = tag.encode()
    start = b"\x0a" + varint(len(name)) + name + b"\x15"
    return b"\x0a" + varint(len(start) + 4) + start
