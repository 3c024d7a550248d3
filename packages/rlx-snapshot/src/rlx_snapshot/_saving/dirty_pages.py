"""Which pages of memory were written since last asked, from the kernel (Linux 6.7 and later).

Pages are write-protected through userfaultfd in its asynchronous mode: the first write to
a page lifts the protection without any fault reaching the program, and the scan of
``/proc/self/pagemap`` lists the unprotected pages and protects them again in one step.
Source: Linux, Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst.
"""

import mmap
import os
import platform
import struct
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from rlx_snapshot import _platform
from rlx_snapshot._saving.mappings import Mappings

Range = tuple[int, int]
Piece = tuple[int, int]
"""Address and length of a piece of memory."""

_PAGE: Final = mmap.PAGESIZE

_USERFAULTFD_NUMBER: Final = {"x86_64": 323, "aarch64": 282}
_USER_MODE_ONLY: Final = 1
_API, _REGISTER, _UNREGISTER, _SCAN = 0xC018AA3F, 0xC020AA00, 0x8010AA01, 0xC0606610
_API_VERSION: Final = 0xAA
_WP_UNPOPULATED, _WP_ASYNC = 1 << 13, 1 << 15
_REGISTER_WP: Final = 2
_SCAN_REQUEST: Final = struct.Struct("<12Q")
_PROTECT_AND_CHECK, _WRITTEN = 3, 2
_RANGES_A_SCAN: Final = 1 << 14


class ChangeTracker(Protocol):
    """Says which parts of pieces of memory changed since it was last asked about them."""

    def changes(self, pieces: Sequence[Piece]) -> list[list[Range] | None]:
        """For each piece its changed ranges, counted from its start; None if unknown, which means all of it."""
        ...

    def close(self) -> object:
        """Stop tracking."""
        ...


class NoTracker:
    """Knows nothing: where the system cannot tell, everything counts as changed."""

    def changes(self, pieces: Sequence[Piece]) -> list[list[Range] | None]:
        """Unknown."""
        return [None for _ in pieces]

    def close(self) -> None:
        """Nothing to stop."""


class KernelTracker:
    """Asks the kernel. Raises OSError where it cannot, or may not, tell.

    `close` lifts the protection from everything that was tracked.
    """

    def __init__(self) -> None:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        number = _USERFAULTFD_NUMBER[platform.machine()]
        self._faults: int = libc.syscall(number, os.O_CLOEXEC | os.O_NONBLOCK | _USER_MODE_ONLY)
        if self._faults < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd is not allowed here")
        descriptors = [self._faults]
        self.close = weakref.finalize(self, _close_all, descriptors)
        try:
            _control(self._faults, _API, struct.pack("<QQQ", _API_VERSION, _WP_ASYNC | _WP_UNPOPULATED, 0))
            self._pages = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            descriptors.append(self._pages)
        except BaseException:
            self.close()
            raise
        self._process = os.getpid()
        self._found = ctypes.create_string_buffer(24 * _RANGES_A_SCAN)
        self._found_at = ctypes.addressof(self._found)

    def changes(self, pieces: Sequence[Piece]) -> list[list[Range] | None]:
        """Ranges written since the last call; all of a piece that is new or was mapped again."""
        if self._process != os.getpid():  # the descriptors show the parent's memory
            return [None for _ in pieces]
        mappings = Mappings()
        answers: list[list[Range] | None] = [None for _ in pieces]
        for span in _spans(pieces):
            written = self._changes((span.start, span.end - span.start), mappings)
            if written is not None:
                for number in span.numbers:
                    answers[number] = _within(pieces[number], span, written)
        return answers

    def _changes(self, piece: Piece, mappings: Mappings) -> list[Range] | None:
        address, length = piece
        start, end = address + -address % _PAGE, (address + length) // _PAGE * _PAGE
        if start >= end:
            return None
        try:
            written = self._protected_again(start, end)
        except OSError:  # memory of a kind that cannot be tracked, or tracked by somebody else
            return None
        if written == [(start, end)] and not mappings.only_ours(start, end):
            _control(self._faults, _UNREGISTER, struct.pack("<QQ", start, end - start))
            return None
        edges = [(address, start), *written, (end, address + length)]
        return [(first - address, last - address) for first, last in edges if first < last]

    def _protected_again(self, start: int, end: int) -> list[Range]:
        """The pages written since they were last protected; for memory that never was, all of them.

        Registering again what is registered changes nothing, but memory that was
        unmapped meanwhile, and mapped again at the same address, begins from nothing.
        """
        _control(self._faults, _REGISTER, struct.pack("<QQQQ", start, end - start, _REGISTER_WP, 0))
        written: list[Range] = []
        while start < end:
            request = _SCAN_REQUEST.pack(
                _SCAN_REQUEST.size,
                _PROTECT_AND_CHECK,
                start,
                end,
                0,
                self._found_at,
                _RANGES_A_SCAN,
                0,
                0,
                _WRITTEN,
                0,
                _WRITTEN,
            )
            count, answer = _control(self._pages, _SCAN, request)
            start = _SCAN_REQUEST.unpack(answer)[4]
            written += [
                (first, last) for first, last, _ in struct.iter_unpack("<QQQ", self._found.raw[: 24 * count])
            ]
        return written


@dataclass
class _Span:
    """Memory that is asked about at once, and which pieces lie in it."""

    start: int
    end: int
    numbers: list[int]


def _spans(pieces: Sequence[Piece]) -> list[_Span]:
    """The memory to ask about.

    Pieces that overlap, as an array and a view of it, are asked about together: the
    answer about one of them protects its pages again, and nothing is left to tell of the other.
    """
    spans: list[_Span] = []
    for number in sorted(range(len(pieces)), key=pieces.__getitem__):
        address, length = pieces[number]
        if not spans or address >= spans[-1].end:
            spans.append(_Span(address, address + length, []))
        spans[-1].end = max(spans[-1].end, address + length)
        spans[-1].numbers.append(number)
    return spans


def _within(piece: Piece, span: _Span, ranges: list[Range]) -> list[Range]:
    """The `ranges` of a span that touch a piece in it, counted from the start of the piece."""
    if len(span.numbers) == 1:
        return ranges
    skipped, length = piece[0] - span.start, piece[1]
    shifted = [(max(first - skipped, 0), min(last - skipped, length)) for first, last in ranges]
    return [(first, last) for first, last in shifted if first < last]


def tracker_for(incremental: str) -> ChangeTracker:
    """The best tracker there is on this machine for the setting."""
    if incremental == "never" or not _platform.LINUX:
        return NoTracker()
    try:
        return KernelTracker()
    except (OSError, KeyError):
        return NoTracker()


def _close_all(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _control(descriptor: int, request: int, argument: bytes) -> tuple[int, bytes]:
    import fcntl

    answer = bytearray(argument)
    return fcntl.ioctl(descriptor, request, answer), bytes(answer)
