"""Several loggers as one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import (
    CsvLogger,
    DroppedRowsWarning,
    FanoutLogger,
    JournalLogger,
    LazyLogger,
    PrefixLogger,
    read_metrics,
)


def test_every_logger_gets_every_row(tmp_path: Path) -> None:
    """The gate of the fan-out decides, not those of its loggers."""
    fanout = FanoutLogger([JournalLogger(tmp_path / "a"), JournalLogger(tmp_path / "b")], train_interval=2)
    for step in range(6):
        fanout.log_train_data({"x": float(step)}, step)
    fanout.finalize()
    for name in "ab":
        assert read_metrics(tmp_path / name)["train/x"].steps.tolist() == [1, 3, 5]


def test_loggers_of_one_folder_are_cut_to_one_moment(tmp_path: Path) -> None:
    """All are flushed before any position is taken."""
    fanout = FanoutLogger([JournalLogger(tmp_path), CsvLogger(tmp_path)])
    fanout.write("info/epoch", 0, {"x": 0.0})
    state = fanout.state_dict()
    fanout.write("info/epoch", 1, {"x": 1.0})
    fanout.load_state_dict(state)
    fanout.write("info/epoch", 1, {"x": 2.0})
    fanout.finalize()
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [0.0, 2.0]
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 3


def test_the_hook_is_called_once_and_all_restore(tmp_path: Path) -> None:
    """Each logger records the checkpoint; the gates of the fan-out come back from one of them."""
    fanout = FanoutLogger([LazyLogger(), JournalLogger(tmp_path / "a"), JournalLogger(tmp_path / "b")])
    calls: list[int] = []

    def hook(epoch: int, env_step: int, gradient_step: int) -> str:
        calls.append(epoch)
        return "path"

    for step, log in enumerate(
        (fanout.log_train_data, fanout.log_test_data, fanout.log_update_data, fanout.log_info_data),
        start=2000,
    ):
        log({"x": 1.0}, step)
    fanout.save_data(3, 30, 300, hook)
    fanout.finalize()
    assert calls == [3]
    again = FanoutLogger([LazyLogger(), JournalLogger(tmp_path / "a"), JournalLogger(tmp_path / "b")])
    assert again.restore_data() == (3, 30, 300)
    assert again.gates == {"train": 2000, "test": 2001, "update": 2002, "info": 2003}
    assert FanoutLogger([LazyLogger()]).restore_data() == (0, 0, 0)


def test_a_state_of_other_loggers_is_refused(tmp_path: Path) -> None:
    """The number of loggers must be that of the state."""
    state = FanoutLogger([JournalLogger(tmp_path)]).state_dict()
    with pytest.raises(ValueError, match="state is that of 1 loggers; this fan-out has 2"):
        FanoutLogger([LazyLogger(), LazyLogger()]).load_state_dict(state)


def test_a_state_of_a_single_logger_is_refused_and_the_other_way_round(tmp_path: Path) -> None:
    """No log is cut by a state that says nothing about it."""
    single, fanout = JournalLogger(tmp_path), FanoutLogger([JournalLogger(tmp_path)])
    single.write("info/epoch", 0, {"x": 0.0})
    with pytest.raises(ValueError, match="that of a single logger"):
        fanout.load_state_dict(single.state_dict())
    with pytest.raises(ValueError, match="that of a FanoutLogger of 1 loggers"):
        single.load_state_dict(fanout.state_dict())
    fanout.load_state_dict(LazyLogger().state_dict())
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [0.0]
    single.finalize()


def test_nothing_committed(tmp_path: Path) -> None:
    """An empty state empties every logger."""
    fanout = FanoutLogger([JournalLogger(tmp_path), LazyLogger()])
    fanout.write("info/epoch", 0, {"x": 0.0})
    fanout.load_state_dict({})
    assert not (tmp_path / "metrics.rlxj").exists()


def log_epochs(logger: FanoutLogger, count: int) -> None:
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

    def restore_data(self) -> tuple[int, int, int]:
        """Fail."""
        raise OSError(5, "Input/output error")


def test_a_failing_logger_costs_one_warning_and_the_others_nothing(tmp_path: Path) -> None:
    """The one after it gets every row, and is finalized; what was dropped is counted."""
    fanout = FanoutLogger([Broken(), JournalLogger(tmp_path)])
    with pytest.warns(DroppedRowsWarning, match=r"Broken: could not write a row \(OSError") as caught:
        log_epochs(fanout, 3)
    assert len(caught) == 1
    with pytest.warns(DroppedRowsWarning, match="Broken: 4 calls were dropped in all"):
        fanout.finalize()
    assert read_metrics(tmp_path)["info/x"].values.tolist() == [0.0, 1.0, 2.0]


def test_a_logger_that_cannot_restore_counts_as_one_without_a_record(tmp_path: Path) -> None:
    """The next one's counts are returned."""
    first = JournalLogger(tmp_path)
    first.save_data(1, 2, 3, "epoch {} {} {}".format)
    first.finalize()
    with pytest.warns(DroppedRowsWarning, match="Broken: could not restore where training stood"):
        assert FanoutLogger([Broken(), JournalLogger(tmp_path)]).restore_data() == (1, 2, 3)


def test_failures_can_be_let_through() -> None:
    """Whoever wants training to stop says so."""
    fanout = FanoutLogger([Broken()], on_failure="raise")
    with pytest.raises(OSError, match="Input/output error"):
        fanout.write("info/epoch", 0, {})
    with pytest.raises(ValueError, match="on_failure must be one of 'warn', 'raise'; got 'never'"):
        FanoutLogger([], on_failure="never")  # type: ignore[arg-type]


def test_a_mistake_of_the_caller_is_raised_and_no_logger_gets_the_row(tmp_path: Path) -> None:
    """It is not taken for a failure of a logger."""
    fanout = FanoutLogger([JournalLogger(tmp_path), LazyLogger()])
    with pytest.raises(ValueError, match="scope/name"):
        fanout.write("epoch", 0, {"x": 1.0})
    with pytest.raises(TypeError, match="must be a whole number"):
        fanout.write("info/epoch", 0.5, {"x": 1.0})  # type: ignore[arg-type]
    assert not (tmp_path / "metrics.rlxj").exists()


def test_what_the_hook_raises_is_raised(tmp_path: Path) -> None:
    """A checkpoint that was not written is no matter of logging."""
    fanout = FanoutLogger([JournalLogger(tmp_path / "a"), JournalLogger(tmp_path / "b")])

    def hook(epoch: int, env_step: int, gradient_step: int) -> str:
        raise RuntimeError(f"no room for checkpoint {epoch}, {env_step}, {gradient_step}")

    with pytest.raises(RuntimeError, match="no room for checkpoint 1, 2, 3"):
        fanout.save_data(1, 2, 3, hook)
    fanout.finalize()


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
    fanout = FanoutLogger([other, JournalLogger(tmp_path)])
    fanout.log_hparams({"lr": 0.1})
    fanout.log_info_data({"x": {"y": 1.0}}, 0)
    fanout.write_text("info/note", 0, "hello")
    fanout.flush()
    state = fanout.state_dict()
    fanout.committed(0)
    fanout.log_info_data({"x": 2.0}, 1)
    fanout.load_state_dict(state)
    fanout.finalize()
    assert state["loggers"][0] == {}
    assert other.rows == [("info/epoch", 0, {"x/y": 1.0}), ("info/epoch", 1, {"x": 2.0})]
    assert other.closed
    assert read_metrics(tmp_path)["info/x/y"].steps.tolist() == [0]


def test_what_another_librarys_logger_offers_is_used() -> None:
    """Its flush and its state."""
    other = Flushing()
    fanout = FanoutLogger([other])
    fanout.write("info/epoch", 0, {})
    state = fanout.state_dict()
    fanout.write("info/epoch", 1, {})
    fanout.load_state_dict(state)
    assert (other.flushed, len(other.rows)) == (1, 1)


def test_gates_come_from_a_logger_that_knows_them_all(tmp_path: Path) -> None:
    """Tianshou's own takes the epoch for the step of the last test: it is believed only where it is alone."""
    other = Tianshou()
    fanout = FanoutLogger([other, JournalLogger(tmp_path)])
    fanout.log_test_data({"x": 1.0}, 777)
    fanout.save_data(3, 30, 300, "epoch {} {} {}".format)
    fanout.finalize()
    again = FanoutLogger([other, JournalLogger(tmp_path)])
    assert again.restore_data() == (3, 30, 300)
    assert again.last_log_test_step == 777
    alone = FanoutLogger([other])
    assert alone.restore_data() == (3, 30, 300)
    assert alone.gates == {"train": 30, "test": 3, "update": 300, "info": -1}


@pytest.mark.parametrize("around", [False, True], ids=["fan-out", "wrapper round it"])
def test_preparing_takes_tianshous_arguments(around: bool) -> None:
    """A prefix, another delimiter, and arrays for once."""
    fanout = FanoutLogger([LazyLogger()])
    logger = PrefixLogger(fanout, "a") if around else fanout
    array = np.arange(2)
    data = {"a": {"b": 1.0, "c": array, "d": "text"}}
    assert logger.prepare_dict_for_logging(data) == {"a/b": 1.0}
    prepared = logger.prepare_dict_for_logging(data, "top", delimiter="|", exclude_arrays=False)
    assert prepared == {"top|a|b": 1.0, "top|a|c": array}
    assert LazyLogger().prepare_dict_for_logging(data, delimiter="|", exclude_arrays=True) is data
