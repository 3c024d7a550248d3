"""Loggers as backends: of other libraries, and of this package with folders of their own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    CsvLogger,
    DroppedRowsWarning,
    JournalLogger,
    LazyLogger,
    LoggerBackend,
    RunLogger,
    read_metrics,
)


def joined(folder: Path, *loggers: Any, **options: Any) -> RunLogger:
    """Return a journal in `folder` that hands its rows to other loggers too."""
    logger = JournalLogger(folder, **options)
    for other in loggers:
        logger.add_backend(other)
    return logger


def test_every_logger_gets_every_row(tmp_path: Path) -> None:
    """The gate of the outer logger decides, not theirs."""
    logger = joined(
        tmp_path / "a", CsvLogger(tmp_path / "b"), JournalLogger(tmp_path / "c"), train_interval=2
    )
    for step in range(6):
        logger.log_train_data({"x": float(step)}, step)
    logger.finalize()
    for name in "abc":
        assert read_metrics(tmp_path / name)["train/x"].steps.tolist() == [1, 3, 5]


def test_loggers_with_a_state_are_cut_to_the_same_moment(tmp_path: Path) -> None:
    """Two of one class too: their states are told apart."""
    others = [JournalLogger(tmp_path / name) for name in "bc"]
    logger = joined(tmp_path / "a", *others)
    others[1].write("info/epoch", -1, {"x": -1.0})
    logger.write("info/epoch", 0, {"x": 0.0})
    state = logger.state_dict()
    logger.write("info/epoch", 1, {"x": 1.0})
    logger.load_state_dict(state)
    logger.write("info/epoch", 1, {"x": 2.0})
    logger.finalize()
    for name in "ab":
        assert read_metrics(tmp_path / name)["info/x"].values.tolist() == [0.0, 2.0]
    assert read_metrics(tmp_path / "c")["info/x"].values.tolist() == [-1.0, 0.0, 2.0]


def test_nothing_committed(tmp_path: Path) -> None:
    """An empty state empties every logger."""
    logger = joined(tmp_path / "a", JournalLogger(tmp_path / "b"), LazyLogger())
    logger.write("info/epoch", 0, {"x": 0.0})
    logger.load_state_dict({})
    for name in "ab":
        assert not (tmp_path / name / "metrics.rlxj").exists()


def test_the_hook_is_called_once_and_all_record_the_checkpoint(tmp_path: Path) -> None:
    """Each logger can be restored alone; the gates are those of the outer one."""
    logger = joined(tmp_path / "a", LazyLogger(), JournalLogger(tmp_path / "b"))
    calls: list[int] = []

    def hook(epoch: int, env_step: int, gradient_step: int) -> str:
        calls.append(epoch)
        return f"checkpoint {env_step} {gradient_step}"

    logger.log_test_data({"x": 1.0}, 777)
    logger.save_data(3, 30, 300, hook)
    logger.finalize()
    assert calls == [3]
    again = joined(tmp_path / "a")
    assert again.restore_data() == (3, 30, 300)
    assert again.last_log_test_step == 777
    assert JournalLogger(tmp_path / "b").restore_data() == (3, 30, 300)


def log_epochs(logger: RunLogger, count: int) -> None:
    """Log a row for each epoch."""
    for epoch in range(count):
        logger.log_info_data({"x": float(epoch)}, epoch)


class Broken(LazyLogger):
    """A logger whose disk is gone."""

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Fail."""
        raise OSError(5, "Input/output error")

    def finalize(self) -> None:
        """Fail."""
        raise OSError(5, "Input/output error")


def test_a_failing_logger_costs_one_warning_and_the_others_nothing(tmp_path: Path) -> None:
    """The one after it gets every row, and is finalized; what was dropped is counted."""
    logger = joined(tmp_path / "a", Broken(), JournalLogger(tmp_path / "b"))
    with pytest.warns(DroppedRowsWarning, match=r"Broken: could not write a row \(OSError") as caught:
        log_epochs(logger, 3)
    assert len(caught) == 1
    with pytest.warns(DroppedRowsWarning, match="Broken: 4 calls were dropped in all"):
        logger.finalize()
    for name in "ab":
        assert read_metrics(tmp_path / name)["info/x"].values.tolist() == [0.0, 1.0, 2.0]


def test_failures_can_be_let_through(tmp_path: Path) -> None:
    """Whoever wants training to stop says so."""
    logger = joined(tmp_path, Broken(), on_failure="raise")
    with pytest.raises(OSError, match="Input/output error"):
        logger.write("info/epoch", 0, {})


class Tianshou:
    """A logger with tianshou's methods and no others."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, dict[str, Any]]] = []
        self.last_log_train_step = self.last_log_test_step = self.last_log_update_step = -1
        self.saved = (0, 0, 0)
        self.closed = False

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Keep a row."""
        self.rows.append((step_type, step, data))

    def finalize(self) -> None:
        """Note the end."""
        self.closed = True

    def save_data(
        self,
        epoch: int,
        env_step: int,
        update_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Call the hook and keep the counts."""
        if save_checkpoint_fn is not None:
            save_checkpoint_fn(epoch, env_step, update_step)
            self.saved = (epoch, env_step, update_step)

    def restore_data(self) -> tuple[int, int, int]:
        """Give the counts back, and set the gates as tianshou does."""
        self.last_log_test_step, self.last_log_train_step, self.last_log_update_step = self.saved
        return self.saved


class Flushing(Tianshou):
    """One that can do a little more."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = 0

    def flush(self) -> None:
        """Count."""
        self.flushed += 1

    def state_dict(self) -> dict[str, Any]:
        """Return how many rows there are."""
        return {"rows": len(self.rows)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut."""
        del self.rows[state["rows"] :]


def test_a_logger_with_tianshous_methods_only_is_asked_for_no_others(tmp_path: Path) -> None:
    """It gets the rows; pictures, arguments, flushes and commits pass it by, and its own state is empty."""
    other = Tianshou()
    logger = joined(tmp_path, other)
    logger.log_hparams({"lr": 0.1})
    logger.log_info_data({"x": {"y": 1.0}}, 0)
    logger.write_text("info/note", 0, "hello")
    logger.flush()
    state = logger.state_dict()
    logger.committed(0)
    logger.log_info_data({"x": 2.0}, 1)
    logger.load_state_dict(state)
    logger.save_data(1, 2, 3, "epoch {} {} {}".format)
    logger.finalize()
    assert state["backends"]["Tianshou"] == {}
    assert other.rows[:2] == [("info/epoch", 0, {"x/y": 1.0}), ("info/epoch", 1, {"x": 2.0})]
    assert (other.saved, other.closed) == ((1, 2, 3), True)
    assert read_metrics(tmp_path)["info/x/y"].steps.tolist() == [0]


def test_what_another_librarys_logger_offers_is_used(tmp_path: Path) -> None:
    """Its flush and its state; given in place of a backend."""
    other = Flushing()
    logger = RunLogger(tmp_path, [other, LoggerBackend(LazyLogger())])
    logger.write("info/epoch", 0, {})
    state = logger.state_dict()
    logger.write("info/epoch", 1, {})
    logger.load_state_dict(state)
    assert (other.flushed, len(other.rows)) == (1, 1)


def test_arrays_are_handed_on_under_their_keys(tmp_path: Path) -> None:
    """As tianshou's loggers take them."""
    other = Tianshou()
    logger = joined(tmp_path, other, exclude_arrays=False)
    logger.log_info_data({"w": np.arange(3)}, 0)
    logger.finalize()
    assert other.rows[0][2]["w"].tolist() == [0, 1, 2]
