# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""tianshou's own TensorboardLogger as a backend of one of ours."""

from pathlib import Path

import pytest

pytest.importorskip("tianshou", reason="needs tianshou")

from tianshou.utils import TensorboardLogger
from torch.utils.tensorboard import SummaryWriter

from rlx_logging import JournalLogger, read_metrics


def make(folder: Path) -> JournalLogger:
    """Return both loggers as one."""
    logger = JournalLogger(folder / "ours", train_interval=1)
    logger.add_backend(TensorboardLogger(SummaryWriter(str(folder / "theirs")), save_interval=1))
    return logger


def test_both_get_every_row_and_restore(tmp_path: Path) -> None:
    """What tianshou's logger has no method for passes it by; the gates are those that ours recorded."""
    logger = make(tmp_path)
    logger.log_hparams({"lr": 0.1})
    for step in (100, 200):
        logger.log_train_data({"returns": {"mean": step / 8}}, step)
    logger.log_test_data({"x": 1.0}, 177)
    logger.flush()
    state = logger.state_dict()
    logger.committed(1)
    logger.save_data(1, 200, 20, "checkpoint {} {} {}".format)
    logger.finalize()
    for name in ("theirs", "ours"):
        series = read_metrics(tmp_path / name)["train/returns/mean"]
        assert list(zip(series.steps.tolist(), series.values.tolist(), strict=True)) == [
            (100, 12.5),
            (200, 25.0),
        ]
    again = make(tmp_path)
    assert again.restore_data() == (1, 200, 20)
    again.load_state_dict(state)
    assert (again.last_log_train_step, again.last_log_test_step) == (200, 177)
    again.finalize()
