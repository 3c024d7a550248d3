"""Several loggers as one."""

from pathlib import Path

import pytest

from rlx_logging import CsvLogger, FanoutLogger, JournalLogger, LazyLogger, read_metrics


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

    fanout.save_data(3, 30, 300, hook)
    fanout.finalize()
    assert calls == [3]
    again = FanoutLogger([LazyLogger(), JournalLogger(tmp_path / "a"), JournalLogger(tmp_path / "b")])
    assert again.restore_data() == (3, 30, 300)
    assert FanoutLogger([LazyLogger()]).restore_data() == (0, 0, 0)


def test_a_state_of_other_loggers_is_refused(tmp_path: Path) -> None:
    """The number of loggers must be that of the state."""
    state = FanoutLogger([JournalLogger(tmp_path)]).state_dict()
    with pytest.raises(ValueError, match="state is that of 1 loggers; this fan-out has 2"):
        FanoutLogger([LazyLogger(), LazyLogger()]).load_state_dict(state)


def test_nothing_committed(tmp_path: Path) -> None:
    """An empty state empties every logger."""
    fanout = FanoutLogger([JournalLogger(tmp_path), LazyLogger()])
    fanout.write("info/epoch", 0, {"x": 0.0})
    fanout.load_state_dict({})
    assert not (tmp_path / "metrics.rlxj").exists()
