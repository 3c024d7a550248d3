"""Follows a journal that another process writes."""

from __future__ import annotations

import os
from pathlib import Path

from rlx_logging._journal.format import FILE_NAME
from rlx_logging._journal.reader import rows_in_order, scan_journal
from rlx_logging._rows.rows import Layout, Row


class JournalTail:
    """Gives the rows that were added since the last look.

    Attributes:
        path: The journal.

    Args:
        run: The run folder, or its journal.
        wait: Accept a folder whose journal is not there yet.

    Raises:
        FileNotFoundError: If there is no journal, and it is not to be waited for.
        ValueError: If `run` is a file of another kind.
    """

    def __init__(self, run: Path, *, wait: bool = True) -> None:
        if run.is_file() and run.suffix != Path(FILE_NAME).suffix:
            raise ValueError(f"{run} is no journal; only journals can be followed.")
        self.path = run if run.is_file() else run / FILE_NAME
        if not wait and not self.path.is_file():
            raise FileNotFoundError(f"there is no journal ({FILE_NAME}) in {run}.")
        self._position = 0
        self._count = 0
        self._layouts: dict[bytes, Layout] = {}

    def new_rows(self) -> list[Row]:
        """Return the new rows, in order; after a cut continue from the end of the cut file."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            self._position = min(self._position, size)
            file.seek(self._position)
            scan = scan_journal(file.read(), self._layouts)
        self._layouts = scan.layouts
        self._position += scan.end
        first, self._count = self._count, self._count + sum(map(len, scan.rows.values()))
        return rows_in_order(scan, first)


def read_rows(path: str | os.PathLike[str], start: int = 0) -> list[Row]:
    """Return the rows of a journal from number `start` on, in order; a row's arrays are in `Metrics`.

    Args:
        path: The run folder, or its journal.
        start: How many rows to pass over.

    Raises:
        FileNotFoundError: If there is no journal.
        ValueError: If `path` is a file of another kind.
    """
    return [row for row in JournalTail(Path(path), wait=False).new_rows() if row.number >= start]
