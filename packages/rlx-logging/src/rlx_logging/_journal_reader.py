"""Reads a metric journal: every undamaged record, whatever lies between them."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlx_logging._journal_format import CHECKSUM, FRAME, HEAD, SYNC, VERSION, Kind, unpack_layout
from rlx_logging._metrics import Metrics, Series
from rlx_logging._rows import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rlx_logging._journal_format import layout_id as layout_id


@dataclass
class _Found:
    """Where the records of a journal are."""

    rows: dict[bytes, list[int]] = field(default_factory=dict)
    layouts: dict[bytes, Layout] = field(default_factory=dict)
    arrays: dict[str, list[tuple[int, NDArray[Any]]]] = field(default_factory=dict)
    hparams: dict[str, Any] = field(default_factory=dict)
    damaged: int = 0


def read_journal(path: Path) -> Metrics:
    """Return everything that is in a journal; damaged records are counted and passed over.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    data = path.read_bytes()
    found = _scan(data)
    series = _series(data, found)
    lost = sum(len(rows) for key, rows in found.rows.items() if key not in found.layouts)
    return Metrics(series, found.arrays, found.hparams, found.damaged + lost)


def _scan(data: bytes) -> _Found:
    found = _Found()
    view = memoryview(data)
    position, end, damaged = 0, len(data), False
    while position + FRAME <= end:
        sync, kind, version, length = HEAD.unpack_from(data, position)
        stop = position + FRAME + length
        if sync == SYNC and version == VERSION and stop <= end and _is_whole(view, position, stop):
            damaged = False
            if kind == Kind.ROW:
                found.rows.setdefault(data[position + 8 : position + 16], []).append(position)
            else:
                _take(found, kind, data[position + HEAD.size : stop - CHECKSUM.size])
            position = stop
            continue
        found.damaged += not damaged
        damaged = True
        position = data.find(SYNC, position + 1)
        if position < 0:
            return found
    found.damaged += position < end and not damaged
    return found


def _is_whole(view: memoryview, position: int, stop: int) -> bool:
    body = stop - CHECKSUM.size
    return CHECKSUM.unpack_from(view, body)[0] == zlib.crc32(view[position:body])


def _take(found: _Found, kind: int, body: bytes) -> None:
    from rlx_logging._journal_format import layout_id

    if kind == Kind.LAYOUT:
        layout = unpack_layout(body)
        found.layouts[layout_id(layout)] = layout
    elif kind == Kind.HPARAMS:
        found.hparams.update(json.loads(body))
    elif kind == Kind.ARRAY:
        import numpy as np

        head, _, content = body.partition(b"\n")
        about = json.loads(head)
        array = np.frombuffer(content, about["dtype"]).reshape(about["shape"])
        found.arrays.setdefault(about["tag"], []).append((about["step"], array))


def _series(data: bytes, found: _Found) -> dict[str, Series]:
    import numpy as np

    bytes_ = np.frombuffer(data, np.uint8)
    parts: dict[str, list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for key, positions in found.rows.items():
        layout = found.layouts.get(key)
        if layout is None:
            continue
        starts = np.array(positions, np.int64)
        record = np.dtype([("step", "<i8"), ("time", "<f8"), ("values", "<f8", (len(layout.keys),))])
        window = starts[:, None] + np.arange(16, 16 + record.itemsize)
        table = np.ascontiguousarray(bytes_[window]).view(record)[:, 0]
        for column, tag in enumerate(layout.tags):
            values = table["step"].astype(np.float64) if column == 0 else table["values"][:, column - 1]
            block = np.rec.fromarrays(
                [starts, table["step"], table["time"], values], names="at,step,time,value"
            )
            parts.setdefault(tag, []).append((starts, block))
    return {tag: _join([block for _, block in blocks]) for tag, blocks in parts.items()}


def _join(blocks: list[NDArray[Any]]) -> Series:
    import numpy as np

    table = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
    if len(blocks) > 1:
        table = table[np.argsort(table["at"], kind="stable")]
    return Series(
        np.ascontiguousarray(table["step"]),
        np.ascontiguousarray(table["value"]),
        np.ascontiguousarray(table["time"]),
    )
