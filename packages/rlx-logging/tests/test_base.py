"""The gates of a logger."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

from rlx_logging import BaseLogger, DataScope, JournalLogger, LazyLogger


def save(epoch: int, env_step: int, gradient_step: int) -> str:
    """Stand for a trainer's checkpoint hook."""
    return f"checkpoint {epoch} {env_step} {gradient_step}"


def refuse(epoch: int, env_step: int, gradient_step: int) -> NoReturn:
    """Stand for a hook that must not be called."""
    pytest.fail(f"the hook was called with {epoch}, {env_step}, {gradient_step}")


class Recorder(LazyLogger):
    """Keeps the calls of `write`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rows: list[tuple[str, int, dict[str, Any]]] = []

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Keep a row."""
        self.rows.append((step_type, step, dict(data)))


SCOPES = [
    ("train", "train/env_step", Recorder.log_train_data),
    ("test", "test/env_step", Recorder.log_test_data),
    ("update", "update/gradient_step", Recorder.log_update_data),
    ("info", "info/epoch", Recorder.log_info_data),
]


@pytest.mark.parametrize(("scope", "step_type", "log"), SCOPES, ids=[scope for scope, _, _ in SCOPES])
def test_a_scope_is_written_when_its_interval_has_passed(
    scope: str, step_type: str, log: Callable[[BaseLogger, dict[str, Any], int], None]
) -> None:
    """The first row comes at interval - 1, because the gate starts at -1; then every interval."""
    logger = Recorder(10, 10, 10, 10)
    for step in range(35):
        log(logger, {"a": 1}, step)
    assert logger.rows == [(step_type, step, {"a": 1}) for step in (9, 19, 29)]
    assert logger.last_logged_steps[scope] == 29


def test_default_intervals_are_those_of_tianshou() -> None:
    """Train and update are logged every thousand steps, test and info always."""
    logger = LazyLogger()
    intervals = (logger.train_interval, logger.test_interval, logger.update_interval, logger.info_interval)
    assert intervals == (1000, 1, 1000, 1)
    assert logger.exclude_arrays is True


def test_data_scope_values() -> None:
    """The scopes are strings; training has the name of either tianshou."""
    assert [str(scope) for scope in DataScope] == ["train", "training", "test", "update", "info"]


def test_base_logger_is_abstract() -> None:
    """A logger without the abstract methods cannot be made."""
    with pytest.raises(TypeError, match="abstract"):
        BaseLogger()  # type: ignore[abstract]


def test_lazy_logger_does_nothing(tmp_path: Path) -> None:
    """Nothing is written, restored or read back."""
    logger = LazyLogger()
    logger.log_info_data({"a": 1}, 0)
    logger.save_data(1, 2, 3, refuse)
    logger.finalize()
    assert logger.restore_data() == (0, 0, 0)
    assert LazyLogger.restore_logged_data(str(tmp_path)) == {}


def test_save_data_calls_the_hook_when_its_interval_is_due(tmp_path: Path) -> None:
    """Epochs between two calls are at least the save interval."""
    logger = JournalLogger(tmp_path, save_interval=2)
    calls: list[tuple[int, int, int]] = []

    def hook(epoch: int, env_step: int, gradient_step: int) -> str:
        calls.append((epoch, env_step, gradient_step))
        return "path"

    for epoch in range(5):
        logger.save_data(epoch, epoch * 10, epoch * 100, hook)
    assert calls == [(1, 10, 100), (3, 30, 300)]
    logger.finalize()


def test_save_data_logs_its_three_counts(tmp_path: Path) -> None:
    """The counts are logged as save/epoch, save/env_step and save/gradient_step, each at its own step."""
    logger = JournalLogger(tmp_path)
    logger.save_data(1, 2**53 - 1, 3, save)
    logger.finalize()
    restored: Any = JournalLogger.restore_logged_data(str(tmp_path))
    assert {key: float(values[-1]) for key, values in restored["save"].items()} == {
        "epoch": 1.0, "env_step": 2.0**53 - 1, "gradient_step": 3.0
    }  # fmt: skip


def test_restore_data_gives_back_counts_and_last_logged_steps(tmp_path: Path) -> None:
    """Each scope gets its own step back, tests not the epoch, and infos too."""
    logger = JournalLogger(tmp_path, train_interval=1, update_interval=1)
    logger.log_train_data({"a": 1}, 2**24 + 1)
    logger.log_test_data({"a": 1}, 777)
    logger.log_update_data({"a": 1}, 55)
    logger.log_info_data({"a": 1}, 6)
    logger.save_data(7, 2**24 + 1, 55, save)
    logger.finalize()
    again = JournalLogger(tmp_path)
    assert again.restore_data() == (7, 2**24 + 1, 55)
    assert again.last_logged_steps == {"train": 2**24 + 1, "test": 777, "update": 55, "info": 6}
    assert again.last_save_step == 7


def test_restore_data_without_a_record(tmp_path: Path) -> None:
    """Nothing found gives zeros and leaves the gates closed."""
    logger = JournalLogger(tmp_path)
    assert logger.restore_data() == (0, 0, 0)
    assert logger.last_log_train_step == -1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"epoch": 1}', '{"epoch": "x", "gates": 3}', "null"])
def test_restore_data_with_a_damaged_record(tmp_path: Path, content: str) -> None:
    """What cannot be read counts as nothing."""
    (tmp_path / "logs.restore.json").write_text(content)
    assert JournalLogger(tmp_path).restore_data() == (0, 0, 0)
