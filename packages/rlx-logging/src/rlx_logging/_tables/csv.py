"""Comma-separated tables: ``progress.csv`` and one more for each other scope."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Unpack

from rlx_logging._backend import Backend
from rlx_logging._files.append import AppendFile
from rlx_logging._files.atomic import create_once
from rlx_logging._files.folder import LogFolder
from rlx_logging._options import LoggerOptions
from rlx_logging._rows.numbers import name_if_not_finite
from rlx_logging._rows.rows import Layout, Row
from rlx_logging._run_logger import RunLogger

MAIN_SCOPE: Final = "info"
TIME: Final = "_time"
MORE: Final = "_more"


def table_name(scope: str) -> str:
    """Return the name of the file that holds the rows of a scope."""
    return "progress.csv" if scope == MAIN_SCOPE else f"progress-{scope}.csv"


class CsvBackend(Backend):
    """Writes a table for each scope.

    The first row of a scope fixes its columns: the step, the keys, ``_time`` (seconds
    since the epoch) and ``_more``. A key that appears later stands in ``_more`` as a
    JSON object, so no row is ever written again; NaN and infinities are strings in
    it. An empty cell means that the row had no such key. Arrays are left out.
    """

    name = "csv"

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._tables: dict[str, _Table] = {}

    def write(self, row: Row) -> None:
        """Append one row to the table of its scope."""
        table = self._tables.get(row.layout.scope)
        if table is None:
            table = self._tables[row.layout.scope] = _Table.open(self._folder, row.layout)
        table.append(row)

    def close(self) -> None:
        """Read the columns anew if rows follow."""
        self._tables.clear()


class _Table:
    """One open table and its columns."""

    def __init__(self, file: AppendFile, columns: list[str]) -> None:
        self._file = file
        self._columns = columns
        self._fitting: Layout | None = None  # the layout whose keys are the columns, in their order

    @classmethod
    def open(cls, folder: LogFolder, layout: Layout) -> _Table:
        name = table_name(layout.scope)
        path = folder.path / name
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.adopt(name)
        columns = [layout.step_name, *(key for key in layout.keys if key not in (TIME, MORE)), TIME, MORE]
        create_once(path, _line(columns).encode())
        file = folder.open(name)
        file.end_last_line()
        return cls(file, _read_header(path))

    def append(self, row: Row) -> None:
        if row.layout is self._fitting:
            line = f"{row.step},{','.join(map(repr, row.values))},{row.time!r},\n"
        else:
            line = self._line(row)
        self._file.append(line.encode())

    def _line(self, row: Row) -> str:
        if row.layout.keys and [row.layout.step_name, *row.layout.keys] == self._columns[:-2]:
            self._fitting = row.layout
        named: dict[str, float] = {
            row.layout.step_name: row.step,
            **dict(zip(row.layout.keys, row.values, strict=True)),
        }
        cells = [repr(named.pop(column)) if column in named else "" for column in self._columns[:-2]]
        return _line([*cells, repr(row.time), _more(named)])


def _more(late: Mapping[str, float]) -> str:
    return (
        json.dumps({key: name_if_not_finite(value) or value for key, value in late.items()}) if late else ""
    )


def _line(cells: Iterable[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _read_header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file))


class CsvLogger(RunLogger):
    """Logs to ``progress.csv`` (scope info) and ``progress-<scope>.csv`` alone."""

    def __init__(self, log_dir: str | os.PathLike[str], **options: Unpack[LoggerOptions]) -> None:
        folder = LogFolder(log_dir)
        super().__init__(folder, [CsvBackend(folder)], **options)
