"""The directory that snapshots are written to: one save, from captured parts to safe files."""

from pathlib import Path

from rlx_snapshot._atomic import replace_file
from rlx_snapshot._files import numbered_iterations
from rlx_snapshot._modes import numbered
from rlx_snapshot._output import write_parts
from rlx_snapshot._seal import sealed
from rlx_snapshot._settings import Settings
from rlx_snapshot._stream import Capture
from rlx_snapshot._temporary import sweep_abandoned


class Store:
    """Writes snapshots into one directory; knows the newest iteration that is safe there."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self._settings = settings
        self._swept = False
        self.last_committed: int | None = None

    def commit(self, itr: int, names: tuple[str, ...], captured: Capture) -> None:
        """Write `captured` under all `names`; on an error what was there before is still there."""
        if not self._swept:
            sweep_abandoned(self._directory)
            self._swept = True
        parts = sealed(captured, itr, self._settings.key)
        for name in names:
            path = self._directory / name
            replace_file(path, lambda file: write_parts(file, parts), durable=self._settings.durable)
        self.last_committed = itr
        if self._settings.keep is not None:
            self._remove_all_but(self._settings.keep, itr)

    def _remove_all_but(self, keep: int, itr: int) -> None:
        older = [held for held in numbered_iterations(self._directory) if held != itr]
        for held in older[: max(0, len(older) + 1 - keep)]:
            (self._directory / numbered(held)).unlink(missing_ok=True)
