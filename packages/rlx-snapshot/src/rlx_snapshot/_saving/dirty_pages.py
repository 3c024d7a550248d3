"""Which pages of memory were written since last asked, from the kernel (Linux 6.7 and later).

Pages are write-protected through userfaultfd in its asynchronous mode: the first write to
a page lifts the protection without any fault reaching the program, and the scan of
``/proc/self/pagemap`` lists the unprotected pages and protects them again in one step.
Source: Linux, Documentation/admin-guide/mm/{userfaultfd,pagemap}.rst.
"""

import functools
import mmap
import os
import platform
import struct
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from rlx_snapshot import _platform
from rlx_snapshot._format.layout import HEAD

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
        """Ranges written since the last call; all of a piece that is new or was mapped anew."""
        if self._process != os.getpid():  # the descriptors show the parent's memory
            return [None for _ in pieces]
        mappings = _Mappings()
        answers: list[list[Range] | None] = [None for _ in pieces]
        for span, numbers in _spans(pieces):
            written = self._changes(span, mappings)
            if written is not None:
                for number in numbers:
                    answers[number] = _within(pieces[number], span, written)
        return answers

    def _changes(self, piece: Piece, mappings: "_Mappings") -> list[Range] | None:
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
        unmapped meanwhile, and mapped anew at the same address, begins from nothing.
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


class _Mapping(NamedTuple):
    """A line of ``/proc/self/maps``; `file` is device and inode."""

    first: int
    last: int
    private: bool
    offset: int
    file: tuple[str, str]


_ANONYMOUS: Final = ("00:00", "0")


def _private_and_shared() -> list[_Mapping]:
    found: list[_Mapping] = []
    for line in Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines():
        span, permissions, offset, device, inode, *_ = line.split(maxsplit=5)
        first, _, last = span.partition("-")
        private = permissions[3] == "p"
        found.append(_Mapping(int(first, 16), int(last, 16), private, int(offset, 16), (device, inode)))
    return found


def _is_snapshot(mapping: _Mapping) -> bool:
    """Whether a mapping shows the beginning of a snapshot."""
    if mapping.offset or mapping.file == _ANONYMOUS:
        return False
    try:
        # Not through the address: of a file that was cut short that would end this program.
        memory = os.open("/proc/self/mem", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(memory, len(HEAD), mapping.first) == HEAD
        finally:
            os.close(memory)
    except (OSError, OverflowError):
        return False


class _Mappings:
    """The mappings of this process, read when first needed."""

    @functools.cached_property
    def _foreign(self) -> list[Range]:
        """Memory that may change without this process writing to it: shared, or mapped from files.

        Snapshots, from which restored arrays are mapped, are files that never change while they are
        mapped. They are known by their contents, as a name may be anybody's.
        """
        mappings = _private_and_shared()
        snapshots = {mapping.file for mapping in mappings if mapping.private and _is_snapshot(mapping)}
        unchanging = {_ANONYMOUS, *snapshots}
        return [
            (mapping.first, mapping.last)
            for mapping in mappings
            if not (mapping.private and mapping.file in unchanging)
        ]

    def only_ours(self, start: int, end: int) -> bool:
        """Whether all of this memory changes only when this process writes to it."""
        return not any(first < end and start < last for first, last in self._foreign)


def _spans(pieces: Sequence[Piece]) -> list[tuple[Piece, list[int]]]:
    """The memory to ask about, and which pieces lie in it.

    Pieces that overlap, as an array and a view of it, are asked about together: the
    answer about one of them protects its pages again, and nothing is left to tell of the other.
    """
    spans: list[tuple[Piece, list[int]]] = []
    for number in sorted(range(len(pieces)), key=pieces.__getitem__):
        address, length = pieces[number]
        if spans and address < sum(spans[-1][0]):
            (start, before), numbers = spans.pop()
            spans.append(((start, max(before, address + length - start)), [*numbers, number]))
        else:
            spans.append(((address, length), [number]))
    return spans


def _within(piece: Piece, span: Piece, ranges: list[Range]) -> list[Range]:
    """The `ranges` of a span that touch a piece in it, counted from the start of the piece."""
    if piece == span:
        return ranges
    skipped, length = piece[0] - span[0], piece[1]
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
