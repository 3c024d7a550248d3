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


def _logged(folder: Path, kind: str) -> list[Any]:
    """Return the records of a kind of all offline runs below a folder, in the order of their files."""
    wandb_internal_pb2 = import_module("wandb.proto.wandb_internal_pb2")
    import_module("wandb").teardown()  # its service writes the last records after `finish` has returned
    records = [
        wandb_internal_pb2.Record.FromString(data)
        for path in sorted(folder.rglob("*.wandb"))
        for data in _records(path)
    ]
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


@pytest.fixture
def wandb_rows() -> Callable[[Path], list[dict[str, Any]]]:
    """Return a function that gives the rows of all offline runs below a folder, without what W&B adds."""

    def rows(folder: Path) -> list[dict[str, Any]]:
        whole = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in history.item}
            for history in _logged(folder, "history")
        ]
        return [{key: value for key, value in row.items() if not key.startswith("_")} for row in whole]

    return rows


@pytest.fixture
def wandb_artifacts() -> Callable[[Path], list[Any]]:
    """Return a function that gives the artifacts of all offline runs below a folder."""
    return lambda folder: _logged(folder, "artifact")
