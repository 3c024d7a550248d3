"""Reads TensorBoard event files, own and foreign: every scalar, none sampled away."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rlx_logging._crc32c import fastest_crc32c, mask
from rlx_logging._metrics import Metrics, Series
from rlx_logging._protobuf import as_double, as_float, as_signed, fields

_LENGTH: Final = struct.Struct("<Q")
_CRC: Final = struct.Struct("<I")
_HEAD: Final = 12
_FRAME: Final = 16
_DT_FLOAT: Final = 1
_DT_DOUBLE: Final = 2


class Event(NamedTuple):
    """The scalars of one record."""

    time: float
    step: int
    scalars: list[tuple[str, float]]


def read_event_files(paths: Sequence[Path]) -> Metrics:
    """Return the scalars of several files, one file after the other; damaged records are counted."""
    import numpy as np

    columns: dict[str, tuple[list[int], list[float], list[float]]] = {}
    damaged = 0
    for path in paths:
        scan = _Scan(path.read_bytes())
        for record in scan:
            event = parse_event(record)
            for tag, value in event.scalars:
                steps, values, times = columns.setdefault(tag, ([], [], []))
                steps.append(event.step)
                values.append(value)
                times.append(event.time)
        damaged += scan.damaged
    series = {
        tag: Series(np.array(steps, np.int64), np.array(values, np.float64), np.array(times, np.float64))
        for tag, (steps, values, times) in columns.items()
    }
    return Metrics(series, damaged=damaged)


class _Scan:
    """Walks the undamaged records of a file; finds the next one after damage by its own checksum."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._view = memoryview(data)
        self._crc32c = fastest_crc32c()
        self.damaged = 0

    def __iter__(self) -> Iterator[memoryview]:
        position, end = 0, len(self._data)
        while position + _FRAME <= end:
            if not self._is_head(position):
                self.damaged += 1
                position = self._next_head(position + 1)
                continue
            length = _LENGTH.unpack_from(self._data, position)[0]
            stop = position + _FRAME + length
            if stop > end:
                self.damaged += 1
                return
            body = self._view[position + _HEAD : stop - 4]
            if _CRC.unpack_from(self._data, stop - 4)[0] == mask(self._crc32c(body)):
                yield body
            else:
                self.damaged += 1
            position = stop
        self.damaged += position < end

    def _is_head(self, position: int) -> bool:
        if self._data[position + 6 : position + 8] != b"\0\0":  # longer than any file
            return False
        (checksum,) = _CRC.unpack_from(self._data, position + 8)
        return bool(checksum == mask(self._crc32c(self._view[position : position + 8])))

    def _next_head(self, position: int) -> int:
        end = len(self._data)
        while position + _FRAME <= end:
            if self._is_head(position):
                return position
            position += 1
        return end


def parse_event(record: memoryview) -> Event:
    """Return the scalars of an ``Event`` message; other contents give none."""
    time, step, scalars = 0.0, 0, []
    for number, content in fields(record):
        if isinstance(content, int):
            step = as_signed(content) if number == 2 else step
        elif number == 1:
            time = as_double(content)
        elif number == 5:
            scalars = [point for field, value in fields(content) if field == 1 for point in _scalar(value)]
    return Event(time, step, scalars)


def _scalar(message: int | memoryview) -> Iterator[tuple[str, float]]:
    if isinstance(message, int):
        return
    tag, value = "", None
    for number, content in fields(message):
        if isinstance(content, int):
            continue
        if number == 1:
            tag = str(content, "utf-8", "replace")
        elif number == 2:
            value = as_float(content)
        elif number == 8:
            value = _tensor_scalar(content)
    if value is not None:
        yield tag, value


def _tensor_scalar(message: memoryview) -> float | None:
    """Return the number in a ``TensorProto`` of one float32 or float64, None for other tensors."""
    kind, value, size = _DT_FLOAT, None, 1
    for number, content in fields(message):
        if number == 1 and isinstance(content, int):
            kind = content
        elif number == 2 and not isinstance(content, int):
            size = len(content)  # a shape with dimensions has bytes in it
        elif number in (4, 5, 6) and not isinstance(content, int) and len(content) in (4, 8):
            value = as_float(content) if len(content) == 4 else as_double(content)
    return value if kind in (_DT_FLOAT, _DT_DOUBLE) and not (size and value is None) else None
