"""The conformance kit: own backends pass it, and backends that break a rule do not."""

import csv
import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import Backend, LogFolder, Row
from rlx_logging._tables.csv import CsvBackend
from rlx_logging._tables.jsonl import JsonLinesBackend
from rlx_logging._tensorboard.backend import TensorboardBackend
from rlx_logging._tensorboard.reader import read_event_files
from rlx_logging._tensorboard.records import to_float32
from rlx_logging.testing import ConformanceError, Points, check_backend

pytestmark = pytest.mark.processes


def read_csv(run: Path) -> Points:
    """Return the points of the tables."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for path in run.glob("progress*.csv"):
        scope = path.stem.removeprefix("progress").removeprefix("-") or "info"
        with path.open(newline="", encoding="utf-8") as file:
            step, *columns = next(csv.reader(file))
            file.seek(0)
            for row in csv.DictReader(file):
                for column in (step, *columns):
                    if row[column] and column != "_time":
                        value = {"True": 1.0}.get(row[column])
                        points[f"{scope}/{column}"].append((int(row[step]), value or float(row[column])))
    return points


def read_jsonl(run: Path) -> Points:
    """Return the points of the JSON lines."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        row: dict[str, Any] = json.loads(line)
        row.pop("time")
        names = row.pop("not_finite", {})
        step = next(iter(row.values()))
        for tag, value in row.items():
            points[tag].append((step, float(names[tag] if value is None else value)))
    return points


def read_events(run: Path) -> Points:
    """Return the points of the event files."""
    metrics = read_event_files(sorted(run.glob("events*")))
    return {
        tag: list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for tag, series in metrics.items()
    }


def as_float32(value: float) -> float:
    """Return what TensorBoard makes of a number."""
    return float(np.float32(to_float32(value)))


class DatabaseBackend(Backend):
    """The example of the documentation: rows in a table of SQLite."""

    name = "database"

    def __init__(self, folder: LogFolder) -> None:
        folder.path.mkdir(parents=True, exist_ok=True)
        self._path = folder.path / "rows.db"
        self._rows = 0

    def _run(self, statement: str, values: list[tuple[Any, ...]]) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute("PRAGMA synchronous = OFF")  # a kill is no power failure
            connection.execute("CREATE TABLE IF NOT EXISTS points (number, tag, step, value)")
            connection.executemany(statement, values)

    def write(self, row: Row) -> None:
        """Insert the values of a row."""
        named = zip(row.layout.tags, (row.step, *row.values), strict=True)
        points = [(row.number, tag, row.step, repr(float(value))) for tag, value in named]
        self._run("INSERT INTO points VALUES (?, ?, ?, ?)", points)
        self._rows = row.number + 1

    def state_dict(self) -> dict[str, Any]:
        """Return how many rows there are."""
        return {"rows": self._rows}

    def load_state_dict(self, state: Any) -> None:
        """Delete the rows that the snapshot does not cover."""
        self._rows = state.get("rows", 0)
        self._run("DELETE FROM points WHERE number >= ?", [(self._rows,)])


def read_database(run: Path) -> Points:
    """Return the points of the database."""
    points: dict[str, list[tuple[int, float]]] = defaultdict(list)
    with closing(sqlite3.connect(run / "rows.db")) as connection:
        for tag, step, value in connection.execute("SELECT tag, step, value FROM points ORDER BY number"):
            points[tag].append((step, float(value)))
    return points


@pytest.mark.parametrize(
    ("make", "read", "stored"),
    [
        (CsvBackend, read_csv, float),
        (JsonLinesBackend, read_jsonl, float),
        (TensorboardBackend, read_events, as_float32),
        (DatabaseBackend, read_database, float),
    ],
)
def test_own_backends_pass(
    tmp_path: Path, make: Any, read: Callable[[Path], Points], stored: Callable[[float], float]
) -> None:
    """What each of them holds is what was logged, whatever was killed."""
    check_backend(make, read, tmp_path, stored=stored)


class Forgetful(DatabaseBackend):
    """Holds rows back until it is closed."""

    def __init__(self, folder: LogFolder) -> None:
        super().__init__(folder)
        self._held: list[Row] = []

    def write(self, row: Row) -> None:
        """Keep a row in memory."""
        self._held.append(row)

    def close(self) -> None:
        """Write what was held."""
        for row in self._held:
            super().write(row)
        self._held.clear()


class Stubborn(DatabaseBackend):
    """Takes nothing back."""

    def load_state_dict(self, state: Any) -> None:
        """Keep every row."""


class Strict(DatabaseBackend):
    """Refuses what is not finite."""

    def write(self, row: Row) -> None:
        """Insert a row of finite values."""
        if any(value - value for value in row.values):
            raise ValueError("not finite")
        super().write(row)


class Cutting(DatabaseBackend):
    """Knows keys by their first 900 characters."""

    def write(self, row: Row) -> None:
        """Insert a row under shortened keys."""
        super().write(row.with_data({key[:900]: value for key, value in row.data.items()}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Forgetful, "a row that was written before a kill: 'update/gradient_step' must be"),
        (Stubborn, "a row that was written before a kill: 'update/gradient_step' must be"),
        (Cutting, "an odd value or key: 'odd/x"),
    ],
)
def test_a_backend_that_breaks_a_rule_is_named(tmp_path: Path, make: Any, message: str) -> None:
    """The rule, the tag, what must be there and what is."""
    with pytest.raises(ConformanceError, match=message):
        check_backend(make, read_database, tmp_path)


def test_a_backend_that_raises_fails_with_its_own_error(tmp_path: Path) -> None:
    """It is not hidden behind the kit's."""
    with pytest.raises(ValueError, match="not finite"):
        check_backend(Strict, read_database, tmp_path)
