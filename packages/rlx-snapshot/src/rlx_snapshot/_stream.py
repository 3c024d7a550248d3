"""A pickler's output as parts, with every large buffer at a page boundary and never copied."""

import pickle
from collections.abc import Sequence
from typing import Final, NamedTuple

from rlx_snapshot._layout import HEAD, PAGE, Buffer
from rlx_snapshot._pickler import ExactPickler

Part = bytes | memoryview

_PROTO: Final = b"\x80\x05"
_BYTEARRAY8, _BINBYTES8, _BINBYTES, _POP = b"\x96", b"\x8e", b"B", b"0"


class Capture(NamedTuple):
    """A pickled object: its stream in parts, of which some are views of the object's live memory."""

    parts: Sequence[Part]
    buffers: Sequence[Buffer]
    positions: Sequence[int]
    """Which parts are the payloads of `buffers`."""
    length: int


def capture(obj: object) -> Capture:
    """Pickle `obj` without copying its large buffers."""
    stream = _Stream()
    ExactPickler(stream).dump(obj)
    return Capture(stream.parts, stream.buffers, stream.positions, stream.length)


class _Stream:
    """What a pickler writes to.

    CPython's pickler hands over a buffer of 64 KiB or more in a call of its own,
    right after the opcode and length that introduce it. Padding, a bytes constant
    that is popped at once, goes in front of that opcode.
    """

    def __init__(self) -> None:
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
        padding = -(gap + 5 + 1 + len(introduction)) % PAGE
        filler = _BINBYTES + padding.to_bytes(4, "little") + bytes(padding) + _POP
        self._append(before + filler + introduction)
        self.buffers.append(Buffer(gap, self.length, payload.nbytes, readonly=payload.readonly))
        self.positions.append(len(self.parts))
        self._append(payload)


def _introduction(last: bytes, length: int) -> bytes:
    """The opcode and length at the end of `last` that announce a payload of `length` bytes."""
    for opcode, width in ((_BYTEARRAY8, 8), (_BINBYTES8, 8), (_BINBYTES, 4)):
        if length >> (8 * width) == 0 and last.endswith(opcode + length.to_bytes(width, "little")):
            return last[-1 - width :]
    raise RuntimeError(f"this Python's pickler announces a buffer of {length} bytes in an unknown way")
