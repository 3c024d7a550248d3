"""The layout of a TensorBoard record, found in one and applied to all that look like it.

Two records look alike when they differ only in wall time, step, the letters of their tags and
their numbers. So one message is parsed, and numpy takes the numbers out of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rlx_logging._tensorboard.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, fields, varint

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLOAT32: Final = "<f4"
_FLOAT64: Final = "<f8"
_DTYPES: Final = {1: _FLOAT32, 2: _FLOAT64}  # DT_FLOAT, DT_DOUBLE


class Point(NamedTuple):
    """Where the tag and the number of one scalar are in a record."""

    tag: slice
    value: slice
    dtype: str


@dataclass(frozen=True)
class Template:
    """Where everything is in a record; slices are relative to its start."""

    time: slice | None
    step: slice | None
    points: tuple[Point, ...]

    @classmethod
    def parse(cls, record: bytes) -> Template:
        """Find the scalars of an ``Event`` message; other contents give no points.

        Raises:
            ValueError: If the message is malformed.
        """
        time = step = None
        points: list[Point] = []
        for field in fields(record, 0, len(record)):
            if (field.number, field.wire) == (1, FIXED64):
                time = slice(field.start, field.stop)
            elif (field.number, field.wire) == (2, VARINT):
                step = slice(field.start, field.stop)
            elif (field.number, field.wire) == (5, BYTES):
                points += _points(record, field)
        return cls(time, step, tuple(points))

    def alike(self, rows: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell which rows, (N, length), differ from the first one only where records may."""
        import numpy as np

        care = np.full(rows.shape[1], 0xFF, np.uint8)
        for free in (self.time, *(part for point in self.points for part in (point.tag, point.value))):
            if free is not None:
                care[free] = 0
        if self.step is not None:
            care[self.step] = 0x80  # how long the number is
        columns = np.flatnonzero(care)
        same = np.ones(len(rows), np.bool_)
        for run in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1):
            part = slice(int(run[0]), int(run[-1]) + 1)
            difference = (rows[:, part] ^ rows[0, part]) & care[part]
            same &= ~difference.any(axis=1)
        return same

    def steps(self, rows: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the steps of rows that are alike."""
        import numpy as np

        steps = np.zeros(len(rows), np.uint64)
        if self.step is not None:
            for shift, column in enumerate(range(self.step.start, self.step.stop)):
                steps |= (rows[:, column] & 0x7F).astype(np.uint64) << np.uint64(7 * shift)
        return steps.view(np.int64)

    def times(self, rows: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the wall times of rows that are alike."""
        import numpy as np

        return np.zeros(len(rows)) if self.time is None else numbers(rows, self.time, _FLOAT64)


def numbers(rows: NDArray[np.uint8], place: slice, dtype: str) -> NDArray[Any]:
    """Return the little-endian numbers that stand at one place of every row, as float64."""
    import numpy as np

    return np.ascontiguousarray(rows[:, place]).view(dtype)[:, 0].astype(np.float64)


def _points(record: bytes, summary: Field) -> list[Point]:
    points: list[Point] = []
    for value in fields(record, summary.start, summary.stop):
        if value.number == 1 and value.wire == BYTES:
            points += _point(record, value)
    return points


def _point(record: bytes, value: Field) -> list[Point]:
    """Return the scalar of a ``Summary.Value``, as a list that is empty if it holds something else."""
    tag, number = slice(0, 0), None
    for field in fields(record, value.start, value.stop):
        if (field.number, field.wire) == (1, BYTES):
            tag = slice(field.start, field.stop)
        elif (field.number, field.wire) == (2, FIXED32):
            number = (slice(field.start, field.stop), _FLOAT32)
        elif (field.number, field.wire) == (8, BYTES):
            number = _tensor_number(record, field)
    return [] if number is None else [Point(tag, *number)]


def _tensor_number(record: bytes, tensor: Field) -> tuple[slice, str] | None:
    """Return where the number of a ``TensorProto`` is, None if it is not one float32 or float64."""
    dtype, place = None, None
    for field in fields(record, tensor.start, tensor.stop):
        if (field.number, field.wire) == (1, VARINT):
            dtype = _DTYPES.get(varint(record, field.start, field.stop)[0])
        elif (field.number, field.wire) == (2, BYTES) and field.stop > field.start:
            return None  # it has dimensions
        elif field.number in (4, 5, 6):  # tensor_content, float_val, double_val
            place = slice(field.start, field.stop)
    if dtype is None or place is None or place.stop - place.start != int(dtype[-1]):
        return None
    return place, dtype
