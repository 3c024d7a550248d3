"""A pickler's output as parts, with every large buffer at a page boundary and never copied."""

import itertools
import pickle
from collections.abc import Sequence
from typing import Final, NamedTuple

from rlx_snapshot._format.layout import CHUNK, HEAD, PAGE, Buffer, next_buffer
from rlx_snapshot._pickling.pickler import dump

Part = bytes | memoryview

_STEADY_FROM: Final = CHUNK
_ROOM: Final = 4 * PAGE
_LARGEST_GAP: Final = 64 * PAGE
_PROTO: Final = b"\x80\x05"
_BYTEARRAY8, _BINBYTES8, _BINBYTES, _POP = b"\x96", b"\x8e", b"B", b"0"


class Capture(NamedTuple):
    """A pickled object: its stream in parts, of which some are views of the object's live memory."""

    parts: Sequence[Part]
    buffers: Sequence[Buffer]
    positions: Sequence[int]
    """Which parts are the payloads of `buffers`."""
    length: int
    names: frozenset[tuple[str, str]] = frozenset()
    """Module and name of every class and function that loading it needs."""


def capture(obj: object, before: Sequence[Buffer] | None = None) -> Capture:
    """Pickle `obj` without copying its large buffers.

    With `before`, the buffers of the state captured last, the largest ones are laid
    out with some room in front, and where they were before if that is possible.

    Raises:
        UnpicklableStateError: If something in `obj` cannot be pickled; it says where.
    """
    stream = _Stream(before)
    names = dump(obj, stream)
    return Capture(stream.parts, stream.buffers, stream.positions, stream.length, names)


def skeleton_of(captured: Capture) -> bytes:
    """The pickle without the contents of its large buffers, which are to be passed beside it."""
    parts = list(captured.parts)
    starts = list(itertools.accumulate(map(len, parts), initial=0))
    for position, buffer in zip(captured.positions, captured.buffers, strict=True):
        before = position - 1
        parts[before] = memoryview(parts[before])[: buffer.gap - starts[before]]
        parts[position] = next_buffer(buffer)
    return b"".join(parts)


class _Stream:
    """What a pickler writes to.

    CPython's pickler passes a buffer of 64 KiB or more in a call of its own,
    right after the opcode and length that introduce it. Padding, a bytes constant
    that is popped at once, goes in front of that opcode.
    """

    def __init__(self, before: Sequence[Buffer] | None) -> None:
        self._before = before
        self.parts: list[Part] = [HEAD]
        self.buffers: list[Buffer] = []
        self.positions: list[int] = []
        self.length = len(HEAD)

    def write(self, data: object) -> None:
        """Take the next piece of the stream."""
        if isinstance(data, bytes):
            first = len(self.parts) == 1
            self._append(data.removeprefix(_PROTO) if first else data)
        elif isinstance(data, pickle.PickleBuffer):
            self._append_buffer(data.raw())
        else:
            self._append(bytes(memoryview(data)))  # type: ignore[arg-type]

    def _append(self, part: Part) -> None:
        self.parts.append(part)
        self.length += len(part)

    def _append_buffer(self, payload: memoryview) -> None:
        last = bytes(self.parts.pop())
        self.length -= len(last)
        introduction = _introduction(last, payload.nbytes)
        before = last[: len(last) - len(introduction)]
        gap = self.length + len(before)
        earliest = gap + len(_BINBYTES) + 4 + len(_POP) + len(introduction)
        padding = self._start(earliest, payload.nbytes) - earliest
        filler = _BINBYTES + padding.to_bytes(4, "little") + bytes(padding) + _POP
        self._append(before + filler + introduction)
        self.buffers.append(Buffer(gap, self.length, payload.nbytes, readonly=payload.readonly))
        self.positions.append(len(self.parts))
        self._append(payload)

    def _start(self, earliest: int, length: int) -> int:
        """Where the next payload begins."""
        first = earliest + -earliest % PAGE
        if self._before is None or length < _STEADY_FROM:
            return first
        number = len(self.buffers)
        if number < len(self._before) and self._before[number].length == length:
            wanted = self._before[number].offset
            if first <= wanted <= first + _LARGEST_GAP:
                return wanted
        return first + _ROOM


def _introduction(last: bytes, length: int) -> bytes:
    """The opcode and length at the end of `last` that announce a payload of `length` bytes."""
    for opcode, width in ((_BYTEARRAY8, 8), (_BINBYTES8, 8), (_BINBYTES, 4)):
        if length >> (8 * width) == 0 and last.endswith(opcode + length.to_bytes(width, "little")):
            return last[-1 - width :]
    raise RuntimeError(f"this Python's pickler announces a buffer of {length} bytes in an unknown way")
