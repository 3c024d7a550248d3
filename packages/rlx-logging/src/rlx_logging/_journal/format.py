"""The records of a metric journal. The format is described in docs/journal-format.md.

A record is a head, a body and a checksum, all little-endian::

    head      sync "RJ" | kind u8 | version u8 | length of the body u32
    body      by kind
    checksum  CRC-32 (zlib) of head and body, u32
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from rlx_logging._rows.rows import Layout, Row
from rlx_logging._scopes import StepType

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE_NAME: Final = "metrics.rlxj"
SYNC: Final = b"RJ"
VERSION: Final = 1
HEAD: Final = struct.Struct("<2sBBI")
CHECKSUM: Final = struct.Struct("<I")
ROW_START: Final = struct.Struct("<8sqd")  # layout id, step, wall time
FRAME: Final = HEAD.size + CHECKSUM.size


class Kind(IntEnum):
    """What a record holds."""

    FILE = 0
    LAYOUT = 1
    ROW = 2
    ARRAY = 3
    HPARAMS = 4
    TEXT = 5


def pack_record(kind: Kind, body: bytes) -> bytes:
    """Return a whole record."""
    start = HEAD.pack(SYNC, kind, VERSION, len(body)) + body
    return start + CHECKSUM.pack(zlib.crc32(start))


def pack_json(kind: Kind, value: object) -> bytes:
    """Return a record whose body is JSON."""
    return pack_record(kind, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def file_record() -> bytes:
    """Return the record that a new file starts with: it says what the file is."""
    about = {
        "format": "rlx metric journal",
        "version": VERSION,
        "row": "layout 8s, step i8, wall_time f8, values f8",
    }
    return pack_json(Kind.FILE, about)


def layout_id(layout: Layout) -> bytes:
    """Return 8 bytes that stand for the names of a row in every file of every process."""
    names = "\0".join((layout.scope, layout.step_name, *layout.keys))
    return hashlib.blake2b(names.encode(), digest_size=8).digest()


def pack_layout(layout: Layout) -> bytes:
    """Return the record that gives a layout its names."""
    return pack_json(Kind.LAYOUT, [f"{layout.scope}/{layout.step_name}", *layout.keys])


def unpack_layout(body: bytes) -> Layout:
    """Return the layout of a record's body."""
    step_type, *keys = json.loads(body)
    return Layout(StepType.parse(step_type), keys)


class RowPacker:
    """Packs the rows of one layout; everything that does not change is made once."""

    def __init__(self, layout: Layout) -> None:
        self._id = layout_id(layout)
        self._struct = struct.Struct(f"<2sBBI8sqd{len(layout.keys)}d")
        self._length = self._struct.size - HEAD.size

    def pack(self, row: Row) -> bytes:
        """Return the record of `row`."""
        start = self._struct.pack(SYNC, 2, VERSION, self._length, self._id, row.step, row.time, *row.values)
        return start + CHECKSUM.pack(zlib.crc32(start))


def pack_array(row: Row, tag: str, array: NDArray[Any]) -> bytes:
    """Return the record of one array: a line of JSON about it, then its bytes in C order."""
    import numpy as np

    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    about = {
        "tag": tag, "step": row.step, "time": row.time, "dtype": plain.dtype.str, "shape": list(array.shape)
    }  # fmt: skip
    return pack_record(Kind.ARRAY, json.dumps(about, ensure_ascii=False).encode() + b"\n" + plain.tobytes())
