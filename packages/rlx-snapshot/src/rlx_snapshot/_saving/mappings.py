"""What the memory of this process is mapped from, as Linux tells it: who else may change it."""

import functools
import os
from pathlib import Path
from typing import Final, NamedTuple

from rlx_snapshot._format.layout import HEAD


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


class Mappings:
    """The mappings of this process, read when first needed."""

    @functools.cached_property
    def _foreign(self) -> list[tuple[int, int]]:
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
