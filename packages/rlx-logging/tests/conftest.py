"""What several test modules need: offline runs of W&B, read from their files."""

import json
import struct
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def _records(path: Path) -> Iterator[bytes]:
    """Yield every complete record of a ``.wandb`` file."""
    data, position, parts = path.read_bytes(), 7, list[bytes]()
    while position + 7 <= len(data):
        room = BLOCK - position % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if room < 7 or (kind == 0 and length == 0):
            position += room
            continue
        piece = data[position + 7 : position + 7 + length]
        position += 7 + length
        parts = [piece] if kind in (FULL, FIRST) else [*parts, piece]
        if kind in (FULL, LAST):
            yield b"".join(parts)


def _history(folder: Path) -> list[dict[str, Any]]:
    """Return the logged rows of all offline runs below a folder, in the order of their files."""
    wandb_internal_pb2 = import_module("wandb.proto.wandb_internal_pb2")

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.rglob("*.wandb")):
        for data in _records(path):
            record = wandb_internal_pb2.Record.FromString(data)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                rows.append(
                    {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
                )
    return rows


@pytest.fixture
def wandb_rows() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a function that gives the rows of all offline runs below a folder, without what W&B adds."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        import_module("wandb").teardown()  # its service writes the last records after `finish` has returned
        return [
            {key: value for key, value in row.items() if not key.startswith("_")} for row in _history(folder)
        ]

    return rows
