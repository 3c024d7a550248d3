"""What goes wrong with the loggers of tianshou 1.2 and 2.0.1, one test each.

The sixth defect, restoring from W&B that raises offline, is in test_wandb.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlx_logging import JournalLogger, RunLogger, TensorboardLogger

Make = Callable[..., RunLogger]
both = pytest.mark.parametrize("make", [JournalLogger, TensorboardLogger])


def save(epoch: int, env_step: int, gradient_step: int) -> str:
    """Stand for a trainer's checkpoint hook."""
    return f"checkpoint {epoch} {env_step} {gradient_step}"


@both
def test_restoring_does_not_put_the_epoch_into_the_test_gate(tmp_path: Path, make: Make) -> None:
    """The step of the last test comes back, so that the next test is not logged too early."""
    logger = make(tmp_path, test_interval=100)
    logger.log_test_data({"a": 1}, 777)
    logger.save_data(7, 777, 55, save)
    logger.finalize()
    again = make(tmp_path, test_interval=100)
    assert again.restore_data() == (7, 777, 55)
    assert again.last_log_test_step == 777


@both
def test_restoring_restores_the_info_gate(tmp_path: Path, make: Make) -> None:
    """An epoch that was logged is not logged again."""
    logger = make(tmp_path)
    logger.log_info_data({"a": 1}, 6)
    logger.save_data(7, 70, 55, save)
    logger.finalize()
    again = make(tmp_path)
    again.restore_data()
    assert again.last_log_info_step == 6
    again.log_info_data({"a": 2}, 6)
    again.finalize()
    restored: Any = make.restore_logged_data(str(tmp_path))  # type: ignore[attr-defined]
    assert restored["info"]["a"].tolist() == [1]


@both
def test_restoring_restores_the_gate_that_tianshou_2_renamed(tmp_path: Path, make: Make) -> None:
    """Rows logged under tianshou 2's name stand behind the same gate as those under tianshou 1's."""
    logger = make(tmp_path, train_interval=1000, save_interval=1)
    logger.log_training_data({"a": 1}, 1500)
    logger.save_data(1, 1500, 55, save)
    logger.finalize()
    again = make(tmp_path, train_interval=1000)
    again.restore_data()
    again.log_training_data({"a": 2}, 1600)
    assert again.last_log_train_step == 1500


@both
def test_steps_beyond_float32_are_restored_exactly(tmp_path: Path, make: Make) -> None:
    """2**24 + 1 is the first whole number that TensorBoard's float32 rounds."""
    logger = make(tmp_path)
    logger.save_data(7, 2**24 + 1, 2**53 + 1, save)
    logger.finalize()
    assert make(tmp_path).restore_data() == (7, 2**24 + 1, 2**53 + 1)


@both
def test_more_values_than_a_reservoir_holds_come_back(tmp_path: Path, make: Make) -> None:
    """TensorBoard's reader keeps 10,000 of them; here all are there, in order."""
    logger = make(tmp_path)
    for step in range(10_500):
        logger.write("update/gradient_step", step, {"loss": float(step)})
    logger.finalize()
    restored: Any = make.restore_logged_data(str(tmp_path))  # type: ignore[attr-defined]
    assert restored["update"]["loss"].tolist() == list(range(10_500))
