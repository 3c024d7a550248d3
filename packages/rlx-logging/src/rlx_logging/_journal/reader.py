"""Reads a metric journal: every undamaged record, whatever lies between them."""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_logging._journal.format import (
    CHECKSUM,
    FILE_NAME,
    FRAME,
    HEAD,
    ROW_START,
    SYNC,
    VERSION,
    Kind,
    layout_id,
    unpack_layout,
)
from rlx_logging._metrics.metrics import Metrics, Series
from rlx_logging._metrics.series import Column, join_columns
from rlx_logging._rows.rows import Layout, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAME: Final = 16  # head and layout id: the bytes that rows of one layout have in common
_FEWEST: Final = 8  # rows below which numpy does not pay


def read_journal(path: Path) -> Metrics:
    """Return everything that is in a journal; damaged records are counted and passed over.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    scan = scan_journal(path.read_bytes())
    nameless = sum(len(starts) for key, starts in scan.rows.items() if key not in scan.layouts)
    return Metrics(_series(scan), scan.arrays, scan.texts, scan.hparams, scan.damaged + nameless)


def last_rows(folder: Path, count: int, *, length: int) -> list[Row]:
    """Return the last rows of the first `length` bytes of a folder's journal, in order; fewer if there are not so many."""
    rows = rows_in_order(scan_journal((folder / FILE_NAME).read_bytes()[:length]))
    return rows[max(0, len(rows) - count) :]


def count_rows(folder: Path, start: int) -> int:
    """Return how many rows of a folder's journal stand behind its first `start` bytes."""
    path = folder / FILE_NAME
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(start)
        return sum(len(starts) for starts in scan_journal(file.read()).rows.values())


def rows_in_order(scan: JournalScan, first: int = 0) -> list[Row]:
    """Return the rows that were found, one object each, in the order of the file; `first` is the number of the first.

    One whose names are damaged is left out, and has a number.
    """
    places = sorted((start, key) for key, starts in scan.rows.items() for start in starts)
    return [
        _row(scan.data, start, scan.layouts[key], number)
        for number, (start, key) in enumerate(places, first)
        if key in scan.layouts
    ]


def _row(data: bytes, start: int, layout: Layout, number: int) -> Row:
    _, step, time = ROW_START.unpack_from(data, start + HEAD.size)
    values = struct.unpack_from(f"<{len(layout.keys)}d", data, start + HEAD.size + ROW_START.size)
    return Row(layout, step, time, values, {}, number)


def scan_journal(data: bytes, layouts: Mapping[bytes, Layout] | None = None) -> JournalScan:
    """Find the records in the bytes of a journal, or of a part of it that uses known layouts."""
    scan = JournalScan(data, layouts or {})
    scan.run()
    return scan


class JournalScan:
    """One pass over the records of a journal.

    Attributes:
        rows: Where the rows of each layout start, by the layout's id.
        layouts: Names by id.
        arrays: Arrays by tag, as (step, array).
        texts: Texts by tag, as (step, text).
        hparams: The arguments of the run.
        damaged: Stretches that hold no whole record.
        end: Where the last whole record ends.
    """

    def __init__(self, data: bytes, layouts: Mapping[bytes, Layout]) -> None:
        self.data = data
        self.end = 0
        self.rows: dict[bytes, array[int]] = {}
        self.layouts = dict(layouts)
        self.arrays: dict[str, list[tuple[int, NDArray[Any]]]] = {}
        self.texts: dict[str, list[tuple[int, str]]] = {}
        self.hparams: dict[str, Any] = {}
        self.damaged = 0
        self._view = memoryview(data)

    def run(self) -> None:
        """Walk through the data; after damage continue with the next whole record."""
        position, end, in_damage = 0, len(self.data), False
        while position < end:
            stop = self._whole_record(position)
            if stop:
                position = self.end = self._take(position, stop)
                in_damage = False
                continue
            self.damaged += not in_damage
            in_damage = True
            position = self.data.find(SYNC, position + 1)
            if position < 0:
                return

    def _whole_record(self, position: int) -> int:
        """Return where the record at `position` ends, 0 if there is none or it is damaged."""
        if position + FRAME > len(self.data):
            return 0
        sync, _, version, length = HEAD.unpack_from(self.data, position)
        stop: int = position + FRAME + length
        if sync != SYNC or version != VERSION or stop > len(self.data):
            return 0
        body_end = stop - CHECKSUM.size
        (checksum,) = CHECKSUM.unpack_from(self.data, body_end)
        return stop if checksum == zlib.crc32(self._view[position:body_end]) else 0

    def _take(self, position: int, stop: int) -> int:
        """Take the record, and the rows after it that are of its kind; return where they end."""
        data = self.data
        kind = data[position + 2]
        if kind != Kind.ROW:
            self._take_other(kind, data[position + HEAD.size : stop - CHECKSUM.size])
            return stop
        starts = self.rows.setdefault(data[position + HEAD.size : position + _SAME], array("q"))
        length = stop - position
        far = position + (_FEWEST - 1) * length
        rows = (
            self._count_rows(position, length)
            if data[far : far + _SAME] == data[position : position + _SAME]
            else 1
        )
        starts.extend(range(position, position + rows * length, length))
        return position + rows * length

    def _count_rows(self, position: int, length: int) -> int:
        """Return how many whole rows like the one at `position` follow each other, it included."""
        import numpy as np

        head = np.frombuffer(self.data, "<u8", 2, position)
        rows, window = 0, 64
        while True:
            start = position + rows * length
            count = min(window, (len(self.data) - start) // length)
            found = self._count_in_window(start, length, head, count) if count else 0
            rows += found
            if found < window:
                return rows
            window *= 4

    def _count_in_window(self, position: int, length: int, head: NDArray[np.uint64], count: int) -> int:
        import numpy as np

        heads = np.ndarray((count, 2), "<u8", self.data, position, (length, 8))
        alike = _leading((heads == head).all(axis=1))
        body_end = length - CHECKSUM.size
        checksums = np.ndarray((alike,), "<u4", self.data, position + body_end, (length,))
        view, crc32 = self._view, zlib.crc32
        ends = range(position + body_end, position + alike * length, length)
        computed = np.array([crc32(view[end - body_end : end]) for end in ends], np.uint32)
        return _leading(computed == checksums)

    def _take_other(self, kind: int, body: bytes) -> None:
        if kind == Kind.LAYOUT:
            layout = unpack_layout(body)
            self.layouts[layout_id(layout)] = layout
        elif kind == Kind.HPARAMS:
            self.hparams.update(json.loads(body))
        elif kind == Kind.TEXT:
            about = json.loads(body)
            self.texts.setdefault(about["tag"], []).append((about["step"], about["text"]))
        elif kind == Kind.ARRAY:
            tag, step, values = _unpack_array(body)
            self.arrays.setdefault(tag, []).append((step, values))


def _leading(flags: NDArray[np.bool_]) -> int:
    """Return how many flags are set before the first that is not."""
    return len(flags) if flags.all() else int(flags.argmin())


def _unpack_array(body: bytes) -> tuple[str, int, NDArray[Any]]:
    import numpy as np

    head, _, content = body.partition(b"\n")
    about = json.loads(head)
    return about["tag"], about["step"], np.frombuffer(content, about["dtype"]).reshape(about["shape"])


def _series(scan: JournalScan) -> dict[str, Series]:
    columns: dict[str, list[Column]] = {}
    for key, starts in scan.rows.items():
        if key in scan.layouts:
            for tag, column in _columns(scan, scan.layouts[key], starts):
                columns.setdefault(tag, []).append(column)
    return {tag: join_columns(parts) for tag, parts in columns.items()}


def _columns(scan: JournalScan, layout: Layout, rows: array[int]) -> Iterator[tuple[str, Column]]:
    """Yield the columns of all rows of a layout, copied out of the file in one go."""
    import numpy as np

    size = ROW_START.size + 8 * len(layout.keys)
    starts = np.frombuffer(rows, np.int64)
    every_offset = np.ndarray((len(scan.data) - size + 1,), f"V{size}", scan.data, 0, (1,))
    words = (
        every_offset[starts + HEAD.size].view("<u8").reshape(len(starts), -1).T.copy()
    )  # a row for each field
    steps, times = words[1].view(np.int64), words[2].view(np.float64)
    yield layout.tags[0], Column(starts, steps, steps.astype(np.float64), times)
    for tag, values in zip(layout.tags[1:], words[3:], strict=True):
        yield tag, Column(starts, steps, values.view(np.float64), times)
