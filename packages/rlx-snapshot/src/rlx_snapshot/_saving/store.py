"""The directory that snapshots are written to: one save, from captured parts to safe files."""

import functools
from collections.abc import Callable, Sequence

from rlx_snapshot import _platform
from rlx_snapshot._format.seal import digests_of, trailer
from rlx_snapshot._format.stream import Capture, Part
from rlx_snapshot._modes import LATEST
from rlx_snapshot._saving.arena import Copied
from rlx_snapshot._saving.chunk_sums import ChunkSums
from rlx_snapshot._saving.output import write_parts
from rlx_snapshot._saving.slots import WORTH_PATCHING_FROM, Slots
from rlx_snapshot._settings import Settings
from rlx_snapshot._storage.atomic import replace_file
from rlx_snapshot._storage.os_errors import naming_file
from rlx_snapshot._storage.storage import Storage
from rlx_snapshot._storage.temporary import sweep_abandoned


class Store:
    """Writes snapshots to one storage; knows the newest iteration that is safe there."""

    def __init__(self, storage: Storage, settings: Settings) -> None:
        self._storage = storage
        self._settings = settings
        self._swept = False
        self._can_patch = settings.incremental == "auto" and _platform.LINUX
        self._sums = ChunkSums()
        self._slots = Slots(storage.directory / LATEST, durable=settings.durable)
        self.last_committed: int | None = None

    def commit(self, itr: int, names: tuple[str, ...], captured: Capture) -> None:
        """Write `captured` under all `names`; on an error what was there before is still there.

        Each name gets a file of its own, not a link: damage to one leaves the other intact.
        """
        self._commit(itr, names, captured, digests_of(captured), self._replace)

    def commit_changes(self, itr: int, names: tuple[str, ...], copied: Copied) -> None:
        """The same for a copied state, of which only the changes are summed and, where possible, written."""
        self._slots.note(copied)
        write = functools.partial(self._write_changes, copied)
        self._commit(itr, names, copied.captured, self._sums.of(copied), write)

    def forget_after(self, itr: int) -> None:
        """What was committed of later iterations is not to be there any more."""
        if self.last_committed is not None and self.last_committed > itr:
            self.last_committed = None

    def close(self) -> None:
        """Let go of the files that later saves would have used again."""
        self._slots.close()

    def _commit(
        self,
        itr: int,
        names: tuple[str, ...],
        captured: Capture,
        digests: Sequence[int],
        write: Callable[[str, Sequence[Part]], None],
    ) -> None:
        parts = [*captured.parts, *trailer(captured, digests, itr, self._settings.key)]
        self._begin()
        for name in names:
            write(name, parts)
            self._storage.publish(name)
        self._finish(itr)

    def _write_changes(self, copied: Copied, name: str, parts: Sequence[Part]) -> None:
        if name == LATEST and self._can_patch and _is_large(copied.captured):
            with naming_file(self._storage.directory / name):
                self._slots.write(copied, parts)
        else:
            self._replace(name, parts)

    def _begin(self) -> None:
        if not self._swept:
            sweep_abandoned(self._storage.directory)
            self._swept = True

    def _replace(self, name: str, parts: Sequence[Part]) -> None:
        path = self._storage.directory / name
        with naming_file(path):
            replace_file(path, lambda file: write_parts(file, parts), durable=self._settings.durable)

    def _finish(self, itr: int) -> None:
        self.last_committed = itr
        if self._settings.keep is not None:
            self._remove_all_but(self._settings.keep, itr)

    def _remove_all_but(self, keep: int, itr: int) -> None:
        held = self._storage.iterations()
        older = [number for number in held if number != itr]
        for number in older[: max(0, len(held) - keep)]:
            self._storage.remove(number)


def _is_large(captured: Capture) -> bool:
    return sum(buffer.length for buffer in captured.buffers) >= WORTH_PATCHING_FROM
