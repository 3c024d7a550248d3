"""TensorBoard event records, packed without protobuf: one record with many scalars.

A TFRecord is length u64 | masked CRC-32C of it | data | masked CRC-32C of the data. The data is
an ``Event`` message: 1 wall_time double, 2 step varint, 5 summary { 1 value { 1 tag, 2 simple_value } }.
"""

from __future__ import annotations

import struct
from typing import Final

from rlx_logging._rows.rows import Row
from rlx_logging._tensorboard.crc32c import fastest_crc32c, mask

FLOAT32_MAX: Final = 3.4028234663852886e38
_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_DOUBLE: Final = struct.Struct("<d")
_SHORT_STEPS: Final = 1 << 28  # steps below are four bytes: one width makes the records of a layout alike
_ANNOUNCED: Final = 0x808080  # the top bit of all of the four bytes but the last


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


def short_varint(number: int) -> int:
    """Return a number below 2**28 as a varint of four bytes, those as a little-endian integer."""
    return (
        number & 0x7F
        | (number & 0x3F80) << 1
        | (number & 0x1FC000) << 2
        | (number & 0xFE00000) << 3
        | _ANNOUNCED
    )


def long_varint(number: int) -> bytes:
    """Return a 64-bit number as a varint of ten bytes; negative ones in two's complement."""
    number &= 0xFFFFFFFFFFFFFFFF
    return bytes([number >> 7 * i & 0x7F | 0x80 for i in range(9)]) + bytes([number >> 63])


class ScalarPacker:
    """Packs rows of one layout; everything that does not change is made once."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        step, *values = [_value_head(tag) for tag in tags]
        summary = sum(len(head) + 4 for head in (step, *values))
        self._step = b"\x2a" + varint(summary) + step
        body = "".join(f"{len(head)}sf" for head in (self._step, *values))
        self._fields: list[bytes | float] = [field for head in values for field in (head, 0.0)]
        self._crc32c = fastest_crc32c()
        self._short, self._long = self._form(f"<cdcI{body}"), self._form(f"<cdc10s{body}")

    def _form(self, layout: str) -> tuple[bytes, struct.Struct]:
        """Return the head of a record, which depends on its length alone, and what packs its data."""
        data = struct.Struct(layout)
        length = _LENGTH.pack(data.size)
        return length + _CRC.pack(mask(self._crc32c(length))), data

    def pack(self, row: Row) -> bytes:
        """Return the whole TFRecord of `row`; numbers beyond float32 become the largest ones it has."""
        _, step, time, values, _, _ = row
        number: int | bytes
        if 0 <= step < _SHORT_STEPS:
            number, (head, form) = short_varint(step), self._short
        else:
            number, (head, form) = long_varint(step), self._long
        fields = self._fields.copy()  # another thread may be packing too
        fields[1::2] = values
        try:
            data = form.pack(b"\x09", time, b"\x10", number, self._step, step, *fields)
        except (OverflowError, struct.error):
            fields[1::2] = map(to_float32, values)
            data = form.pack(b"\x09", time, b"\x10", number, self._step, step, *fields)
        return head + data + _CRC.pack(mask(self._crc32c(data)))


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
