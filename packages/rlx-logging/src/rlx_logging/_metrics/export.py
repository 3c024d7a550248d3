"""Logs as tables for other programs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._metrics.metrics import Metrics
from rlx_logging._missing import require

COLUMNS: Final = ("run", "tag", "step", "value", "wall_time")


def export(runs: Mapping[str, Metrics], path: Path) -> None:
    """Write all values of all runs as one long table: run, tag, step, value, wall_time.

    Args:
        runs: Metrics by the name of their run.
        path: A file that ends in ``.csv`` or ``.parquet``.

    Raises:
        ValueError: If the file has another ending.
        MissingBackendError: If Parquet is asked for and pyarrow is not installed.
    """
    if path.suffix == ".csv":
        _write_csv(runs, path)
    elif path.suffix == ".parquet":
        _write_parquet(runs, path)
    else:
        raise ValueError(f"export to a .csv or .parquet file; got {path.name!r}.")


def _write_csv(runs: Mapping[str, Metrics], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for name, metrics in runs.items():
            for tag, series in metrics.items():
                columns = (series.steps.tolist(), series.values.tolist(), series.wall_times.tolist())
                writer.writerows((name, tag, *row) for row in zip(*columns, strict=True))


def _write_parquet(runs: Mapping[str, Metrics], path: Path) -> None:
    arrow = require("pyarrow", extra="export", used_by="exporting to Parquet")
    parquet = require("pyarrow.parquet", extra="export", used_by="exporting to Parquet")
    tables = list(_tables(runs, arrow))
    schema = arrow.schema(
        [("run", arrow.string()), ("tag", arrow.string()), ("step", arrow.int64()),
         ("value", arrow.float64()), ("wall_time", arrow.float64())]
    )  # fmt: skip
    parquet.write_table(arrow.concat_tables(tables) if tables else schema.empty_table(), path)


def _tables(runs: Mapping[str, Metrics], arrow: Any) -> Iterator[Any]:
    for name, metrics in runs.items():
        for tag, series in metrics.items():
            count = len(series)
            texts = {
                "run": arrow.array([name] * count, arrow.string()),
                "tag": arrow.array([tag] * count, arrow.string()),
            }
            yield arrow.table(
                texts | {"step": series.steps, "value": series.values, "wall_time": series.wall_times}
            )
