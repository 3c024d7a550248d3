"""The file of an offline run of W&B: a log of LevelDB's form behind a header of seven bytes.

A record lies in one or more chunks, none across the end of a block of 32 KiB. A chunk is CRC-32 u32 of its kind and
content | length u16 | kind u8 | content. W&B writes them late, and a killed process leaves the last one torn.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

HEADER: Final = 7
_BLOCK: Final = 32 * 1024
_CHUNK: Final = struct.Struct("<IHB")
_WHOLE, _FIRST, _LAST = 1, 2, 4  # kinds; 3 is a chunk in the middle of a record


class TransactionLog:
    """The records that are whole, up to the first that is not.

    Attributes:
        next_step: One more than W&B's step of the last row; 0 without rows.
        cut: Where the file is to end so that it holds only whole records, and no row from `end` on.
        finished: Whether the last record is W&B's word that the run has ended, and nothing is to be cut.

    Args:
        data: The file.
        end: W&B's step of the first row that is not to be kept; None to keep all.
    """

    def __init__(self, data: bytes, end: int | None = None) -> None:
        self.next_step = 0
        self.cut = min(HEADER, len(data))
        self.finished = False
        record_class: Any = import_module("wandb.proto.wandb_internal_pb2").Record
        for stop, content in _records(data):
            record = record_class.FromString(content)
            kind = record.WhichOneof("record_type")
            if kind == "history":
                if end is not None and record.history.step.num >= end:
                    return
                self.next_step = record.history.step.num + 1
            if kind != "summary" or end is None:  # a row's summary stands before it
                self.cut = stop
            self.finished = kind == "exit" and stop == len(data)


def has_ended(path: Path) -> bool:
    """Tell whether a file is whole: its last record is W&B's word that the run has ended, which is short."""
    record_class: Any = import_module("wandb.proto.wandb_internal_pb2").Record
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, (size - 1) // _BLOCK - 1) * _BLOCK
        file.seek(start)
        data = file.read()
    last = deque(_records(data, HEADER if start == 0 else 0), maxlen=1)
    return any(
        stop == len(data) and record_class.FromString(content).WhichOneof("record_type") == "exit"
        for stop, content in last
    )


def _records(data: bytes, start: int = HEADER) -> Iterator[tuple[int, bytes]]:
    """Yield every whole record that begins from `start` on, with where it ends."""
    parts: list[bytes] = []
    for kind, stop, content in _chunks(data, start):
        if not parts and kind not in (_WHOLE, _FIRST):  # of a record that began before
            continue
        parts.append(content)
        if kind in (_WHOLE, _LAST):
            yield stop, b"".join(parts)
            parts.clear()


def _chunks(data: bytes, position: int) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, end and content of every whole chunk from `position` on."""
    while position + _CHUNK.size <= len(data):
        room = _BLOCK - position % _BLOCK
        if room < _CHUNK.size:  # the rest of a block that no chunk fits into
            position += room
            continue
        checksum, length, kind = _CHUNK.unpack_from(data, position)
        stop = position + _CHUNK.size + length
        content = data[position + _CHUNK.size : stop]
        if not kind or stop > len(data) or checksum != zlib.crc32(content, zlib.crc32(bytes([kind]))):
            return
        yield kind, stop, content
        position = stop
