"""Where a trainer stood at its last checkpoint, and where every backend did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._files.sidecar import read_sidecar, write_sidecar
from rlx_logging._foreign_record import read_foreign_record
from rlx_logging._guard import Guards

_BEGINNING: Final[dict[str, Any]] = {
    "epoch": 0, "env_step": 0, "gradient_step": 0, "gates": {}, "last_save_step": -1
}  # fmt: skip


class TrainerRecord:
    """The record of a folder, for trainers that resume by `restore_data`.

    Args:
        folder: Where it is.
        guards: The backends that it speaks of.
    """

    def __init__(self, folder: LogFolder, guards: Guards[Backend]) -> None:
        self._folder = folder
        self._guards = guards

    def save(self, record: Mapping[str, Any]) -> None:
        """Replace the record; each backend adds its part."""
        backends = {guard.target.name: guard.target.record() for guard in self._guards}
        whole = {**record, "backends": backends}
        self._guards.on_disk("record where training stood", lambda: write_sidecar(self._folder.path, whole))

    def restore(self) -> dict[str, Any]:
        """Let the backends continue from the record, and return it.

        Where there is none, it is made of the event files of another library's logger; without those it is that of
        a beginning.
        """
        saved = read_sidecar(self._folder.path) or read_foreign_record(self._folder) or _BEGINNING
        records: dict[str, Any] = saved.get("backends", {})
        self._guards.each("continue", lambda backend: backend.restore(records.get(backend.name, {})))
        return saved

    def count_rows(self) -> int:
        """Return how many rows the folder's journal has."""
        from rlx_logging._journal.reader import count_rows

        return count_rows(self._folder.path, 0)
