"""Reads tables of numbers: ``progress.csv`` and ``progress.json`` of Stable-Baselines3, and own CSV tables."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._metrics.metrics import Metrics, Series

NAMES: Final = ("progress.csv", "progress.json")
_TIME: Final = "_time"  # a column of own tables
_STEPS: Final = ("time/total_timesteps", "total_timesteps")  # of Stable-Baselines3


def read_tables(paths: Iterable[Path]) -> Metrics:
    """Return the numbers and texts of tables; lines that are torn are counted as damaged.

    In a table of Stable-Baselines3 the steps are those of ``time/total_timesteps``, else the numbers of the
    rows, and wall times are NaN. In an own table they are the first column and ``_time``.
    """
    points: dict[str, list[tuple[int, float, float]]] = {}
    texts: dict[str, list[tuple[int, str]]] = {}
    damaged = 0
    for path in paths:
        rows = _csv_rows(path) if path.suffix == ".csv" else _json_rows(path)
        for number, row in enumerate(rows):
            if row is None:
                damaged += 1
                continue
            step, time, values = _placed(path, number, row)
            for tag, value in values.items():
                if isinstance(value, str):
                    texts.setdefault(tag, []).append((step, value))
                else:
                    points.setdefault(tag, []).append((step, value, time))
    return Metrics({tag: _series(found) for tag, found in points.items()}, texts=texts, damaged=damaged)


def _series(points: list[tuple[int, float, float]]) -> Series:
    import numpy as np

    steps, values, times = zip(*points, strict=True)
    return Series(np.array(steps, np.int64), np.array(values, np.float64), np.array(times, np.float64))


def _placed(path: Path, number: int, row: Mapping[str, Any]) -> tuple[int, float, dict[str, Any]]:
    """Return step and wall time of a row, and its values by their tags."""
    time = row.get(_TIME)
    if time is None:
        steps = (row[name] for name in _STEPS if name in row)
        return int(next(steps, number)), math.nan, {**row}
    scope = path.stem.removeprefix("progress").removeprefix("-") or "info"
    step = int(next(iter(row.values())))
    return (
        step,
        float(time),
        {
            key if key == f"{scope}/{_TIME}" else f"{scope}/{key}": value
            for key, value in row.items()
            if key != _TIME
        },
    )


def _csv_rows(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield each row of a CSV file, None for a torn one; empty cells are left out.

    Rows of an own table may end before the columns that came later, but not before their time.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    rows = csv.reader(io.StringIO(text, newline=""))
    header = next(rows, list[str]())
    fewest = header.index(_TIME) + 1 if _TIME in header else len(header)
    for cells in rows:
        if fewest <= len(cells) <= len(header):
            yield {name: _number(cell) for name, cell in zip(header, cells, strict=False) if cell}
        else:
            yield None


def _number(cell: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return {"True": 1, "False": 0}.get(cell, cell)


def _json_rows(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield each object of a file of JSON lines, None for a torn one; what is neither number nor text is left out."""
    for line in path.read_bytes().splitlines():
        try:
            members = json.loads(line)
            yield {key: value for key, value in members.items() if isinstance(value, (int, float, str))}
        except (ValueError, AttributeError):
            yield None
