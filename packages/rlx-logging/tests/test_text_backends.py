"""CSV, JSON lines and the console."""

import csv
import errno
import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import CsvLogger, DroppedRowsWarning, JsonLinesLogger, make_logger, read_metrics
from rlx_logging._tables.console import ConsoleLogger


def _table(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_one_table_a_scope(tmp_path: Path) -> None:
    """Epochs are in progress.csv, other scopes in tables of their own."""
    logger = CsvLogger(tmp_path, train_interval=1)
    logger.log_info_data({"r": 1.5, "n": 3, "ok": True}, 0)
    logger.log_train_data({"loss": np.float32(0.1)}, 5)
    logger.finalize()
    (row,) = _table(tmp_path / "progress.csv")
    assert {key: row[key] for key in ("epoch", "r", "n", "ok")} == {
        "epoch": "0",
        "r": "1.5",
        "n": "3",
        "ok": "True",
    }
    (row,) = _table(tmp_path / "progress-train.csv")
    assert (row["env_step"], np.float32(row["loss"])) == ("5", np.float32(0.1))


def test_a_table_needs_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File systems without hard links, as those of clouds, get the same table."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "link", refuse)
    for epoch in range(2):
        logger = CsvLogger(tmp_path)
        logger.write("info/epoch", epoch, {"r": 1.0})
        logger.finalize()
    assert [row["epoch"] for row in _table(tmp_path / "progress.csv")] == ["0", "1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs.manifest", "progress.csv"]


def test_a_late_key_is_a_column(tmp_path: Path) -> None:
    """Rows from before end where they ended; a key that stops leaves its cell empty."""
    logger = CsvLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0, "b": 2.0})
    _, _, before = (tmp_path / "progress.csv").read_bytes().partition(b"\n")
    logger.write("info/epoch", 1, {"late": 3.0, "b": math.nan, 'odd,key"': math.inf})
    logger.write("info/epoch", 2, {"a": 4.0, "b": 5.0})
    logger.finalize()
    header, _, rows = (tmp_path / "progress.csv").read_bytes().partition(b"\n")
    assert next(csv.reader([header.decode()])) == ["epoch", "a", "b", "_time", "late", 'odd,key"']
    assert rows.startswith(before)
    first, second, third = _table(tmp_path / "progress.csv")
    assert (first["late"], first["b"]) == (None, "2.0")
    assert (second["a"], second["b"], second["late"], second['odd,key"']) == ("", "nan", "3.0", "inf")
    assert (third["a"], third["late"]) == ("4.0", None)


def test_a_table_is_cut_to_its_rows_whatever_columns_came_later(tmp_path: Path) -> None:
    """The snapshot is older than the column, and nothing is missed."""
    logger = make_logger("csv", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0})
    state = logger.state_dict()
    logger.write("info/epoch", 1, {"a": 2.0, "late": 3.0})
    logger.finalize()
    again = make_logger("csv", log_dir=tmp_path)
    again.load_state_dict(state)
    again.write("info/epoch", 1, {"a": 4.0, "later": 5.0})
    again.finalize()
    rows = _table(tmp_path / "progress.csv")
    assert [(row["epoch"], row["a"], row["late"], row["later"]) for row in rows] == [
        ("0", "1.0", None, None),
        ("1", "4.0", "", "5.0"),
    ]


def test_a_fork_takes_the_columns_along(tmp_path: Path) -> None:
    """The copied rows stand under the header that they have there."""
    parent = make_logger("csv", log_dir=tmp_path / "parent")
    parent.write("info/epoch", 0, {"a": 1.0})
    state = parent.state_dict()
    parent.write("info/epoch", 1, {"late": 2.0})
    parent.finalize()
    child = make_logger("csv", log_dir=tmp_path / "child")
    child.fork_from(tmp_path / "parent", state)
    child.write("info/epoch", 1, {"late": 3.0})
    child.finalize()
    rows = _table(tmp_path / "child" / "progress.csv")
    assert [(row["epoch"], row["a"], row["late"]) for row in rows] == [("0", "1.0", None), ("1", "", "3.0")]


@pytest.mark.skipif(os.name == "nt", reason="Windows shares no file that is replaced")
def test_a_late_key_of_two_processes_costs_a_warning(tmp_path: Path) -> None:
    """Neither loses a row: who has the table open would write into the file that was replaced."""
    first, second = CsvLogger(tmp_path), CsvLogger(tmp_path)
    first.write("info/epoch", 0, {"a": 1.0})
    second.write("info/epoch", 1, {"a": 2.0})
    with pytest.warns(DroppedRowsWarning, match="another process has the file open"):
        first.write("info/epoch", 2, {"a": 3.0, "late": 1.0})
    second.write("info/epoch", 3, {"a": 4.0})
    second.finalize()
    first.write("info/epoch", 4, {"a": 5.0, "late": 6.0})
    first.finalize()
    assert [row["a"] for row in _table(tmp_path / "progress.csv")] == ["1.0", "2.0", "3.0", "4.0", "5.0"]


def test_a_reopened_table_keeps_its_columns(tmp_path: Path) -> None:
    """The second attempt writes under the header of the first."""
    for attempt, keys in enumerate((("a", "b"), ("b", "a"), ("b",))):
        logger = CsvLogger(tmp_path)
        logger.write("info/epoch", attempt, {key: f"{ord(key)}" and float(ord(key)) for key in keys})
        logger.finalize()
    rows = _table(tmp_path / "progress.csv")
    assert [(row["epoch"], row["a"], row["b"]) for row in rows] == [
        ("0", "97.0", "98.0"),
        ("1", "97.0", "98.0"),
        ("2", "", "98.0"),
    ]


def test_a_torn_last_line_is_closed(tmp_path: Path) -> None:
    """A row after a power failure starts on a line of its own."""
    logger = CsvLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0})
    logger.finalize()
    with (tmp_path / "progress.csv").open("ab") as file:
        file.write(b"1,2.")
    logger.write("info/epoch", 2, {"a": 3.0})
    logger.finalize()
    assert [row["epoch"] for row in _table(tmp_path / "progress.csv")] == ["0", "1", "2"]


def test_keys_named_as_the_own_columns(tmp_path: Path) -> None:
    """They are not lost, and the own columns stay."""
    logger = CsvLogger(tmp_path)
    logger.write("info/epoch", 0, {"_time": 5.0, "a": 1.0})
    logger.finalize()
    (row,) = _table(tmp_path / "progress.csv")
    assert row["info/_time"] == "5.0"
    assert float(row["_time"]) > 1e9
    assert sorted(read_metrics(tmp_path)) == ["info/_time", "info/a", "info/epoch"]


def test_pandas_reads_the_table(tmp_path: Path) -> None:
    """As numbers, with gaps as NaN."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    logger = CsvLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1 / 3, "b": 2})
    logger.write("info/epoch", 1, {"a": math.inf, "new": 1.0})
    logger.finalize()
    frame = pandas.read_csv(tmp_path / "progress.csv")
    assert frame["a"].tolist() == [pytest.approx(1 / 3, rel=1e-15), math.inf]
    assert math.isnan(frame["b"][1])
    assert (math.isnan(frame["new"][0]), frame["new"][1]) == (True, 1.0)


def _strict(line: str) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    return json.loads(line, parse_constant=refuse)


def test_json_lines_are_strict_and_exact(tmp_path: Path) -> None:
    """NaN and infinities are null, with their names beside."""
    logger = JsonLinesLogger(tmp_path)
    logger.write("info/epoch", 3, {"a": 1 / 3, "n": 2**60 + 1, "ok": True, "bad": math.nan, "big": -math.inf})
    logger.finalize()
    (line,) = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    row = _strict(line)
    row.pop("time")
    assert row == {
        "info/epoch": 3, "info/a": 1 / 3, "info/n": 2**60 + 1, "info/ok": True, "info/bad": None, "info/big": None,
        "not_finite": {"info/bad": "NaN", "info/big": "-Infinity"},
    }  # fmt: skip


def test_a_torn_last_line_of_json_is_closed(tmp_path: Path) -> None:
    """A row after a power failure starts on a line of its own."""
    logger = JsonLinesLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0})
    logger.finalize()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"time":1')
    logger.write("info/epoch", 2, {"a": 3.0})
    logger.finalize()
    first, torn, last = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert (_strict(first)["info/epoch"], torn, _strict(last)["info/epoch"]) == (0, '{"time":1', 2)


def test_json_lines_hold_arrays_and_arguments(tmp_path: Path) -> None:
    """Arrays are nested lists; arguments that JSON does not know are their repr."""
    logger = JsonLinesLogger(tmp_path, exclude_arrays=False)
    logger.log_info_data({"a": np.array([[1.0, math.nan]])}, 0)
    logger.log_hparams(
        {"lr": 0.1, "seed": np.int64(3), "act": int, "sizes": (1, 2), "nested": {"x": math.inf}}
    )
    logger.finalize()
    row, arguments = map(_strict, (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    assert row["info/a"] == [[1.0, "NaN"]]
    assert arguments == {
        "hparams": {
            "lr": 0.1,
            "seed": 3,
            "act": "<class 'int'>",
            "sizes": [1, 2],
            "nested": {"x": "Infinity"},
        }
    }


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_console_prints_a_line_an_epoch(tmp_path: Path) -> None:
    """Other scopes wait for the epoch and stand beside it."""
    stream = io.StringIO()
    logger = ConsoleLogger(tmp_path, stream=stream, train_interval=1)
    logger.log_train_data({"loss": 0.25}, 10)
    assert stream.getvalue() == ""
    logger.log_info_data({"r": 1.0}, 1)
    logger.log_info_data({"r": 2.0}, 2)
    logger.finalize()
    assert stream.getvalue().splitlines() == [
        "epoch 1: epoch=1  r=1  train/env_step=10  train/loss=0.25",
        "epoch 2: epoch=2  r=2",
    ]


def test_console_keeps_where_training_stood(tmp_path: Path) -> None:
    """The record of `save_data` is the only file, in a folder that is made for it."""

    def saved(epoch: int, env_step: int, gradient_step: int) -> str:
        return "path"

    folder = tmp_path / "new" / "run"
    ConsoleLogger(folder, stream=io.StringIO()).save_data(1, 10, 100, saved)
    assert ConsoleLogger(folder).restore_data() == (1, 10, 100)
    assert [path.name for path in folder.iterdir()] == ["logs.restore.json"]


def test_console_prints_a_table_on_a_terminal(tmp_path: Path) -> None:
    """With rich, every value has a line."""
    pytest.importorskip("rich", reason="needs rich")
    stream = Terminal()
    logger = ConsoleLogger(tmp_path, stream=stream)
    logger.log_info_data({"AverageReturn": 123.456}, 1)
    logger.finalize()
    lines = stream.getvalue().splitlines()
    assert any("AverageReturn" in line and "123.456" in line for line in lines)
    assert len(lines) >= 5
