"""Comma-separated tables: ``progress.csv`` and one more for each other scope."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Unpack

from rlx_logging._backend import Backend
from rlx_logging._files.atomic import create_once
from rlx_logging._files.folder import LogFolder
from rlx_logging._options import LoggerOptions
from rlx_logging._rows.rows import Layout, Row
from rlx_logging._run_logger import RunLogger

MAIN_SCOPE: Final = "info"
TIME: Final = "_time"


def table_name(scope: str) -> str:
    """Return the name of the file that holds the rows of a scope."""
    return "progress.csv" if scope == MAIN_SCOPE else f"progress-{scope}.csv"


class CsvBackend(Backend):
    """Writes a table for each scope.

    Columns: the step, the keys of the first row, ``_time`` (seconds since the epoch), and every key that
    appears later, each behind those that are there. A new column is a new header, which replaces the old one
    with the whole file at once; rows from before end with the columns of their time, so that pandas and
    `csv.DictReader` see them without the later ones. An empty cell means that the row had no such key. A key
    ``_time`` is the column ``<scope>/_time``. Arrays are left out.

    A column that is new while another process has the table open is refused: the row stands without it, and the
    logger warns of it.
    """

    name = "csv"

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._tables: dict[str, _Table] = {}

    def write(self, row: Row) -> None:
        """Append one row to the table of its scope."""
        table = self._tables.get(row.layout.scope)
        if table is None:
            table = self._tables[row.layout.scope] = _Table(self._folder, row.layout)
        table.append(row)

    def close(self) -> None:
        """Read the columns again if rows follow."""
        self._tables.clear()


class _Table:
    """One table and its columns; made by the first row of its scope."""

    def __init__(self, folder: LogFolder, layout: Layout) -> None:
        name = table_name(layout.scope)
        self._path = folder.path / name
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.adopt(name)
        create_once(self._path, _line(_columns(layout)))
        self._columns = _read_header(self._path)
        self._file = folder.open(name)
        self._file.end_last_line()
        self._cells: dict[Layout, list[int]] = {}
        self._refused: set[str] = set()

    def append(self, row: Row) -> None:
        cells, refused = self._cells.get(row.layout), None
        if cells is None:
            refused = self._add_columns(row.layout)
            cells = self._cells[row.layout] = self._cells_of(row.layout)
        fields = [*map(repr, (row.step, *row.values, row.time)), ""]
        self._file.append(f"{','.join([fields[cell] for cell in cells])}\n".encode())
        if refused is not None:
            raise refused

    def _cells_of(self, layout: Layout) -> list[int]:
        """Return for each column which of a row's fields stands there; the one behind the last is empty."""
        columns = _columns(layout)
        places = {column: place for place, column in enumerate(columns)}
        cells = [places.get(column, len(columns)) for column in self._columns]
        while cells[-1] == len(columns):
            cells.pop()
        return cells

    def _add_columns(self, layout: Layout) -> OSError | None:
        """Give the table the columns that a layout brings; return what kept it from that."""
        known = {*self._columns, *self._refused}
        new = [column for column in _columns(layout) if column not in known]
        if not new:
            return None
        _, _, rows = self._path.read_bytes().partition(b"\n")
        try:
            self._file.replace(_line([*self._columns, *new]) + rows)
        except OSError as error:
            self._refused.update(new)
            return error
        self._columns += new
        self._cells.clear()
        return None


def _columns(layout: Layout) -> list[str]:
    """Return the columns of a row's fields: of its step, its values, its time."""
    keys = [f"{layout.scope}/{key}" if key == TIME else key for key in layout.keys]
    return [layout.step_name, *keys, TIME]


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _read_header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


class CsvLogger(RunLogger):
    """Logs to ``progress.csv`` (scope info) and ``progress-<scope>.csv`` alone."""

    def __init__(self, log_dir: str | os.PathLike[str], **options: Unpack[LoggerOptions]) -> None:
        folder = LogFolder(log_dir)
        super().__init__(folder, [CsvBackend(folder)], **options)
