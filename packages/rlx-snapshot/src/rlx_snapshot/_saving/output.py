"""Writing many parts to a file with few system calls."""

import itertools
import os
from collections.abc import Iterable
from typing import IO, Final

from rlx_snapshot import _platform
from rlx_snapshot._format.stream import Part

_PARTS_A_CALL: Final = 512


def write_parts(file: IO[bytes], parts: Iterable[Part]) -> None:
    """Write all `parts` to an unbuffered file, however little it takes at a time."""
    waiting = iter(parts)
    while batch := [memoryview(part) for part in itertools.islice(waiting, _PARTS_A_CALL)]:
        while batch:
            batch = _rest(batch, _write_some(file, batch))


def write_parts_at(descriptor: int, parts: Iterable[Part], offset: int) -> None:
    """Write all `parts` one after the other from `offset` on."""
    waiting = iter(parts)
    while batch := [memoryview(part) for part in itertools.islice(waiting, _PARTS_A_CALL)]:
        while batch:
            written = os.pwritev(descriptor, batch, offset)
            offset += written
            batch = _rest(batch, written)


def _write_some(file: IO[bytes], batch: list[memoryview]) -> int:
    if _platform.WINDOWS:
        return file.write(batch[0])
    return os.writev(file.fileno(), batch)


def _rest(batch: list[memoryview], written: int) -> list[memoryview]:
    for number, part in enumerate(batch):
        if written < part.nbytes:
            return [part[written:], *batch[number + 1 :]]
        written -= part.nbytes
    return []
