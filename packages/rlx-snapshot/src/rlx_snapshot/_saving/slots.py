"""Two files taking turns as the newest snapshot, so that a save writes only what changed.

The file that was the newest before last is brought up to date under a hidden name and
renamed to be the newest. A file that anyone has open or mapped is left alone, and a
whole new one is written.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rlx_snapshot._format.stream import Part
from rlx_snapshot._saving.arena import Copied
from rlx_snapshot._saving.slot import Layout, Slot, new_slot
from rlx_snapshot._storage.atomic import sync_directory
from rlx_snapshot._storage.temporary import hidden_name

WORTH_PATCHING_FROM: Final = 8 << 20
_LARGEST_SHARE: Final = 0.5


class Slots:
    """Writes the newest snapshot of a directory, in turns into one of two files."""

    def __init__(self, target: Path, *, durable: bool) -> None:
        self._target = target
        self._durable = durable
        self._published: list[Slot] = []
        self._spare: list[Slot] = []
        weakref.finalize(self, _discard_all, self._published, self._spare)

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
            slot = new_slot(self._target, layout, parts)
        try:
            if self._durable:
                os.fsync(slot.descriptor)
            hidden = self._publish(slot, keep_old=_share(copied) <= _LARGEST_SHARE)
        except BaseException:
            slot.discard()
            raise
        self._take_turns(slot, hidden)
        slot.stale = [[] for _ in layout]
        if self._durable:
            sync_directory(self._target.parent)
        return written

    def close(self) -> None:
        """Close both files and remove the hidden one."""
        _discard_all(self._published, self._spare)

    def _up_to_date_spare(self, copied: Copied, parts: Sequence[Part]) -> Slot | None:
        if not self._spare:
            return None
        slot = self._spare.pop()
        total = sum(length for _, length in slot.layout)
        if slot.stale_bytes() > _LARGEST_SHARE * total or not slot.is_ours_alone():
            slot.discard()
            return None
        try:
            slot.patch(copied, parts)
        except BaseException:
            slot.discard()
            raise
        return slot

    def _publish(self, slot: Slot, *, keep_old: bool) -> Path | None:
        """Give `slot` the newest file's name; returns the hidden one that the older file keeps, if it does."""
        hidden = self._second_name(self._published[0]) if self._published and keep_old else None
        try:
            slot.path.replace(self._target)
        except BaseException:
            if hidden is not None:
                hidden.unlink(missing_ok=True)
            raise
        return hidden

    def _take_turns(self, newest: Slot, hidden: Path | None) -> None:
        older, self._published[:] = list(self._published), [newest]
        newest.path = self._target
        for slot in older:
            if hidden is None:
                slot.close()
            else:
                slot.path = hidden
                self._spare[:] = [slot]

    def _second_name(self, old: Slot) -> Path | None:
        """Name the newest file a second time; None if it is not ours any more, or names cannot be added."""
        hidden = hidden_name(self._target)
        try:
            if not os.path.samestat(os.fstat(old.descriptor), self._target.stat()):
                return None
            os.link(self._target, hidden)
        except OSError:
            return None
        return hidden


def _layout_of(copied: Copied) -> Layout:
    return tuple((buffer.offset, buffer.length) for buffer in copied.captured.buffers)


def _share(copied: Copied) -> float:
    changed = sum(last - first for ranges in copied.changed for first, last in ranges)
    return changed / max(1, sum(buffer.length for buffer in copied.captured.buffers))


def _discard_all(published: list[Slot], spare: list[Slot]) -> None:
    while spare:
        spare.pop().discard()
    while published:
        published.pop().close()
