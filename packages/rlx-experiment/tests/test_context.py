"""Contexts built by hand, and their loggers."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rlx_experiment import ExperimentContext, MissingExtraError


def test_by_hand_it_belongs_to_no_run() -> None:
    """A context of its own has no run and is never asked to stop."""
    ctxt = ExperimentContext(snapshot_dir="d", snapshot_mode="last", snapshot_gap=1)
    assert (ctxt.run, ctxt.stop_requested, ctxt.resuming) == (None, False, False)


@pytest.mark.parametrize(
    ("mode", "gap", "message"), [("x", 1, "'x'"), ("gap", 0, "is 0;"), ("gap", 1.5, r"is 1\.5;")]
)
def test_refuses_impossible_snapshot_options(mode: str, gap: Any, message: str) -> None:
    """Mode and gap are checked when the context is made."""
    with pytest.raises(ValueError, match=message):
        ExperimentContext(snapshot_dir="d", snapshot_mode=mode, snapshot_gap=gap)


def test_a_missing_logger_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rlx-logging, the error says what to install."""
    monkeypatch.setitem(sys.modules, "rlx_logging", None)
    ctxt = ExperimentContext(snapshot_dir="d", snapshot_mode="last", snapshot_gap=1)
    with pytest.raises(MissingExtraError, match=r"rlx-experiment\[logging\]"):
        ctxt.logger()


def test_loggers_write_into_the_folder_and_are_finalized(monkeypatch: pytest.MonkeyPatch) -> None:
    """The logger is made for the run's folder, and closed once when the experiment ends."""
    calls: list[Any] = []

    class Logger:
        def finalize(self) -> None:
            calls.append("finalize")

    def make_logger(name: object, **options: object) -> Logger:
        calls.append((name, options))
        return Logger()

    module = ModuleType("rlx_logging")
    vars(module)["make_logger"] = make_logger
    monkeypatch.setitem(sys.modules, "rlx_logging", module)
    ctxt = ExperimentContext(snapshot_dir="d", snapshot_mode="last", snapshot_gap=1)
    ctxt.logger("tensorboard", train_interval=5)
    ctxt.finalize()
    ctxt.finalize()
    assert calls == [("tensorboard", {"log_dir": "d", "train_interval": 5}), "finalize"]
    ctxt.logger("tensorboard", "csv")
    ctxt.logger(["tensorboard", "csv"], "jsonl")
    assert calls[2:] == [
        (["tensorboard", "csv"], {"log_dir": "d"}),
        (["tensorboard", "csv", "jsonl"], {"log_dir": "d"}),
    ]


def test_a_logger_that_fails_to_end_keeps_none_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that another one holds back are still written."""
    ended: list[str] = []

    class Logger:
        def __init__(self, name: str) -> None:
            self.name = name

        def finalize(self) -> None:
            if self.name == "second":
                raise OSError("no space left")
            ended.append(self.name)

    def make_logger(name: str, **_: object) -> Logger:
        return Logger(name)

    module = ModuleType("rlx_logging")
    vars(module)["make_logger"] = make_logger
    monkeypatch.setitem(sys.modules, "rlx_logging", module)
    ctxt = ExperimentContext(snapshot_dir="d", snapshot_mode="last", snapshot_gap=1)
    for name in ("first", "second", "third"):
        ctxt.logger(name)
    with pytest.raises(OSError, match="no space left"):
        ctxt.finalize()
    assert sorted(ended) == ["first", "third"]


def test_other_ranks_log_nothing(in_own_folder: Path) -> None:
    """Two processes that write into one file spoil it."""
    pytest.importorskip("rlx_logging", reason="rlx-logging is not installed")
    for rank in (1, 0):
        ctxt = ExperimentContext(
            snapshot_dir=str(in_own_folder), snapshot_mode="last", snapshot_gap=1, rank=rank
        )
        ctxt.logger("csv").write("train/step", 0, {"loss": 0.5})
        ctxt.finalize()
        assert bool(list(in_own_folder.iterdir())) == (rank == 0)
