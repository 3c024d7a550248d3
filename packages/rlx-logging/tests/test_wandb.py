"""Weights & Biases, offline: real runs, read back from their files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from rlx_logging import RunLogger, WandbLogger, make_logger, read_metrics

wandb: Any = pytest.importorskip("wandb", reason="needs wandb")
Rows: TypeAlias = Callable[[Path], list[dict[str, Any]]]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep W&B offline, silent and out of the home folder."""
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_CONSOLE": "off",
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_CONFIG_DIR": str(tmp_path / "config"),
        "WANDB_CACHE_DIR": str(tmp_path / "cache"),
        "WANDB_DATA_DIR": str(tmp_path / "data"),
    }.items():
        monkeypatch.setenv(name, value)


def test_scopes_whose_steps_run_apart_lose_no_row(tmp_path: Path, wandb_rows: Rows) -> None:
    """A row whose step is smaller than that of another scope is there."""
    logger = WandbLogger(tmp_path / "run", train_interval=1, update_interval=1)
    logger.log_hparams({"lr": 0.1})
    for step in (100, 200):
        logger.log_train_data({"loss": 0.5}, step)
        logger.log_update_data({"norm": 2}, step // 100)
    logger.log_info_data({"flag": np.bool_(True)}, 1)
    logger.finalize()
    assert wandb_rows(tmp_path / "run") == [
        {"train/env_step": 100, "train/loss": 0.5},
        {"update/gradient_step": 1, "update/norm": 2},
        {"train/env_step": 200, "train/loss": 0.5},
        {"update/gradient_step": 2, "update/norm": 2},
        {"info/epoch": 1, "info/flag": True},
    ]


def save(epoch: int, env_step: int, gradient_step: int) -> str:
    """Stand for a trainer's checkpoint hook."""
    return f"checkpoint {epoch} {env_step} {gradient_step}"


def test_offline_runs_restore_from_the_journal(tmp_path: Path) -> None:
    """Counts, gates and values come back without a server."""
    logger = WandbLogger(tmp_path)
    logger.log_info_data({"r": 1.5}, 3)
    logger.save_data(3, 30, 300, save)
    logger.finalize()
    again = WandbLogger(tmp_path)
    assert again.restore_data() == (3, 30, 300)
    assert again.last_log_info_step == 3
    assert read_metrics(tmp_path)["info/r"].values.tolist() == [1.5]


def test_a_run_that_is_there_can_be_handed_in(tmp_path: Path, wandb_rows: Rows) -> None:
    """The caller's run gets the rows."""
    with wandb.init(dir=str(tmp_path)) as run:
        logger = WandbLogger(tmp_path, run=run)
        logger.write("info/epoch", 0, {"r": 1.0})
        logger.finalize()
    assert wandb_rows(tmp_path) == [{"info/epoch": 0, "info/r": 1.0}]


def test_make_logger_hands_on_the_options(tmp_path: Path) -> None:
    """Project and name reach W&B."""
    logger = make_logger("wandb", log_dir=tmp_path, project="p", name="first", config={"lr": 0.1})
    logger.write("info/epoch", 0, {"r": 1.0})
    backend: Any = logger.backends[1] if isinstance(logger, RunLogger) else None
    run = backend.run
    assert (run.project, run.name, run.config["lr"]) == ("p", "first", 0.1)
    logger.finalize()
