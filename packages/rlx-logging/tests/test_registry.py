"""Making a logger by name."""

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from rlx_logging import Backend, BaseLogger, LazyLogger, LogFolder, Row, RunLogger, make_logger
from rlx_logging import _registry as registry


def _backends(logger: BaseLogger) -> list[str]:
    assert isinstance(logger, RunLogger)
    return [backend.name for backend in logger.backends]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("csv", ["journal", "csv"]),
        ("csv, jsonl", ["journal", "csv", "jsonl"]),
        (["console", "tensorboard"], ["journal", "console", "tensorboard"]),
        ("journal", ["journal"]),
        ("csv,csv", ["journal", "csv"]),
    ],
)
def test_the_journal_is_always_there(tmp_path: Path, given: Any, expected: list[str]) -> None:
    """Names may come as one string or as a sequence."""
    assert _backends(make_logger(given, log_dir=tmp_path)) == expected


def test_names_one_by_one(tmp_path: Path) -> None:
    """Several names may also be several arguments."""
    assert _backends(make_logger("csv", "jsonl", log_dir=tmp_path)) == ["journal", "csv", "jsonl"]


def test_none_is_the_lazy_logger(tmp_path: Path) -> None:
    """Nothing is logged, and nothing is made on disk."""
    assert type(make_logger("none", log_dir=tmp_path / "run", train_interval=5)) is LazyLogger
    assert not (tmp_path / "run").exists()


def test_making_a_logger_touches_no_disk(tmp_path: Path) -> None:
    """The folder is made by the first row."""
    make_logger("csv,jsonl,tensorboard", log_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", ["", ",", [], "none,csv"])
def test_no_names(tmp_path: Path, given: Any) -> None:
    """At least one backend, or none alone."""
    with pytest.raises(ValueError, match="name the backends"):
        make_logger(given, log_dir=tmp_path)


def test_unknown_name(tmp_path: Path) -> None:
    """The error lists what there is."""
    with pytest.raises(ValueError, match="no logging backend 'cvs'; there are: console, csv, journal"):
        make_logger("cvs", log_dir=tmp_path)


def test_options_reach_logger_and_backends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Intervals go to the logger, others to the backend that knows them."""
    logger = make_logger("console", log_dir=tmp_path, train_interval=7, stream=sys.stderr)
    assert logger.train_interval == 7
    logger.write("info/epoch", 0, {"a": 1.0})
    assert "a=1" in capsys.readouterr().err
    logger.finalize()


def test_unknown_option(tmp_path: Path) -> None:
    """An option that nobody knows is refused."""
    with pytest.raises(TypeError, match="no option of journal, csv: strem"):
        make_logger("csv", log_dir=tmp_path, strem=1)


class ListBackend(Backend):
    """A backend of someone else."""

    name = "list"

    def __init__(self, folder: LogFolder, *, size: int = 1) -> None:
        self.size = size
        self.rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Keep a row."""
        self.rows.append(row)


def test_backends_of_others_are_found_by_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered factory gets the folder and its options."""
    monkeypatch.setitem(sys.modules, "someone_else", sys.modules[__name__])
    entry = EntryPoint("list", "someone_else:ListBackend", "rlx_logging.backends")

    def entry_points(*, group: str) -> list[EntryPoint]:
        return [entry] if group == "rlx_logging.backends" else []

    monkeypatch.setattr(registry, "entry_points", entry_points)
    logger = make_logger("list", log_dir=tmp_path, size=3)
    assert isinstance(logger, RunLogger)
    backend = logger.backends[1]
    assert isinstance(backend, ListBackend)
    assert backend.size == 3
    logger.write("info/epoch", 2, {"a": 1.5})
    assert [(row.step, row.layout.tags, row.values) for row in backend.rows] == [
        (2, ("info/epoch", "info/a"), (1.5,))
    ]
    logger.finalize()


@pytest.mark.parametrize("option", ["durability", "on_failure"])
def test_choices_are_checked(tmp_path: Path, option: str) -> None:
    """A bad choice is refused when the logger is made."""
    with pytest.raises(ValueError, match=f"{option} must be one of"):
        make_logger("csv", log_dir=tmp_path, **{option: "sometimes"})
