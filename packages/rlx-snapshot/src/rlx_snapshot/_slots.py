"""Two files taking turns as the newest snapshot, so that a save writes only what changed.

The file that was the newest before last is brought up to date under a hidden name and
renamed to be the newest. A file that anyone has open or mapped is left alone, and a
whole new one is written.
"""

import contextlib
import os
import signal
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rlx_snapshot._arena import Copied
from rlx_snapshot._atomic import sync_directory
from rlx_snapshot._dirty_pages import Range
from rlx_snapshot._output import write_parts_at
from rlx_snapshot._stream import Part
from rlx_snapshot._temporary import create_locked, hidden_name

WORTH_PATCHING_FROM: Final = 8 << 20
_LARGEST_SHARE: Final = 0.5

Layout = tuple[tuple[int, int], ...]


class _Slot:
    """A file of ours: its open descriptor, its name, and which ranges of its buffers are out of date."""

    def __init__(self, path: Path, descriptor: int, layout: Layout) -> None:
        self.path = path
        self.descriptor = descriptor
        self.layout = layout
        self.process = os.getpid()
        self.stale: list[list[Range]] = [[] for _ in layout]

    def note(self, changed: Sequence[Sequence[Range]]) -> None:
        """Remember what has changed since this file was written."""
        for known, new in zip(self.stale, changed, strict=True):
            known[:] = _merged([*known, *new])

    def stale_bytes(self) -> int:
        """How much of the buffers is out of date."""
        return sum(last - first for ranges in self.stale for first, last in ranges)


class Slots:
    """Writes the newest snapshot of a directory, in turns into one of two files."""

    def __init__(self, target: Path, *, durable: bool) -> None:
        self._target = target
        self._durable = durable
        self._published: list[_Slot] = []
        self._spare: list[_Slot] = []
        self._finalizer = weakref.finalize(self, _discard_all, self._published, self._spare)

    def note(self, copied: Copied) -> None:
        """Remember what has changed, whether or not it will be written: every copy is to be noted, in order."""
        layout = _layout_of(copied)
        for held in (self._published, self._spare):
            if held and held[0].layout != layout:
                _discard_all(self._published, self._spare)
        for slot in [*self._published, *self._spare]:
            slot.note(copied.changed)

    def write(self, copied: Copied, parts: Sequence[Part]) -> int:
        """Make `parts`, the whole file of a copied state that was noted, the newest snapshot.

        Returns the bytes written.
        """
        layout = _layout_of(copied)
        slot = self._up_to_date_spare(copied, parts)
        written = slot.stale_bytes() if slot else sum(map(len, parts))
        if slot is None:
            slot = self._new(layout, parts)
        try:
            if self._durable:
                os.fsync(slot.descriptor)
            self._publish(slot, keep_old=_share(copied) <= _LARGEST_SHARE)
        except BaseException:
            _discard(slot)
            raise
        slot.stale = [[] for _ in layout]
        if self._durable:
            sync_directory(self._target.parent)
        return written

    def close(self) -> None:
        """Close both files and remove the hidden one."""
        _discard_all(self._published, self._spare)

    def _up_to_date_spare(self, copied: Copied, parts: Sequence[Part]) -> _Slot | None:
        if not self._spare:
            return None
        slot = self._spare.pop()
        total = sum(length for _, length in slot.layout)
        if slot.stale_bytes() > _LARGEST_SHARE * total or not _is_ours_alone(slot):
            _discard(slot)
            return None
        try:
            _patch(slot, copied, parts)
        except BaseException:
            _discard(slot)
            raise
        return slot

    def _new(self, layout: Layout, parts: Sequence[Part]) -> _Slot:
        path, file = create_locked(self._target)
        with file:  # the lock belongs to the open file, which the copy of its descriptor keeps open
            slot = _Slot(path, os.dup(file.fileno()), layout)
        try:
            write_parts_at(slot.descriptor, parts, 0)
        except BaseException:
            _discard(slot)
            raise
        return slot

    def _publish(self, slot: _Slot, *, keep_old: bool) -> None:
        old = self._published[0] if self._published else None
        hidden = self._second_name(old) if old and keep_old else None
        try:
            slot.path.replace(self._target)
        except BaseException:
            if hidden is not None:
                hidden.unlink(missing_ok=True)
            raise
        slot.path = self._target
        self._published[:] = [slot]
        if old is not None and hidden is not None:
            old.path = hidden
            self._spare[:] = [old]
        elif old is not None:
            os.close(old.descriptor)

    def _second_name(self, old: _Slot) -> Path | None:
        """Name the newest file a second time; None if it is not ours any more, or names cannot be added."""
        hidden = hidden_name(self._target)
        try:
            if not os.path.samestat(os.fstat(old.descriptor), self._target.stat()):
                return None
            os.link(self._target, hidden)
        except OSError:
            return None
        return hidden


def _patch(slot: _Slot, copied: Copied, parts: Sequence[Part]) -> None:
    payload_at = dict(zip(copied.captured.positions, slot.stale, strict=True))
    offset = 0
    for position, part in enumerate(parts):
        if position not in payload_at:
            write_parts_at(slot.descriptor, [part], offset)
        for first, last in payload_at.get(position, ()):
            write_parts_at(slot.descriptor, [memoryview(part)[first:last]], offset + first)
        offset += len(part)
    os.ftruncate(slot.descriptor, offset)


def _is_ours_alone(slot: _Slot) -> bool:
    """Whether the file has no other name, and is open or mapped nowhere else: only then a write lease is granted."""
    try:
        import fcntl

        if os.fstat(slot.descriptor).st_nlink != 1 or not slot.path.exists():
            return False
        fcntl.fcntl(
            slot.descriptor, fcntl.F_SETSIG, signal.SIGURG
        )  # whoever opens it meanwhile must not end us
        fcntl.fcntl(slot.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(slot.descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, ImportError, AttributeError):
        return False
    return True


def _layout_of(copied: Copied) -> Layout:
    return tuple((buffer.offset, buffer.length) for buffer in copied.captured.buffers)


def _share(copied: Copied) -> float:
    changed = sum(last - first for ranges in copied.changed for first, last in ranges)
    return changed / max(1, sum(buffer.length for buffer in copied.captured.buffers))


def _merged(ranges: list[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _discard(slot: _Slot) -> None:
    if slot.process == os.getpid():  # a fork's copy of the object does not own the file
        with contextlib.suppress(OSError):
            slot.path.unlink()
    os.close(slot.descriptor)


def _discard_all(published: list[_Slot], spare: list[_Slot]) -> None:
    while spare:
        _discard(spare.pop())
    while published:
        os.close(published.pop().descriptor)
