"""Event files that the Logger of Stable-Baselines3 writes, read without dropping a point."""

import csv
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import read_metrics

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

ROWS = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a log of numbers with texts, pictures and hyperparameters between them."""
    sb3: Any = import_module("stable_baselines3.common.logger")
    folder = tmp_path_factory.mktemp("sb3")
    logger = sb3.configure(str(folder), ["csv", "tensorboard"])
    for row in range(ROWS):
        logger.record("rollout/ep_rew_mean", np.float32(row / 3))
        logger.record("train/loss", float("nan") if row == 7 else 1 / (row + 1))
        if row % 50 == 0:
            hidden = ("csv",)
            logger.record("note", "a text", exclude=hidden)
            logger.record("picture", sb3.Image(np.zeros((4, 6, 3), np.uint8), "HWC"), exclude=hidden)
            arguments = sb3.HParam({"lr": 0.1}, {"train/loss": 0.0})
            logger.record("hparams", arguments, exclude=hidden)
        logger.dump(row * 2048)
    logger.close()
    return folder


def test_every_number_is_read(folder: Path) -> None:
    """Steps and values are those of the table that SB3 wrote beside."""
    metrics = read_metrics(folder)
    assert metrics.damaged == 0
    assert metrics["rollout/ep_rew_mean"].steps.tolist() == [row * 2048 for row in range(ROWS)]
    with (folder / "progress.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for tag in ("rollout/ep_rew_mean", "train/loss"):
        expected = np.array([float(row[tag]) for row in table], np.float32)
        np.testing.assert_array_equal(metrics[tag].values[-ROWS:], expected)


def test_tensorboards_own_reader_agrees(folder: Path) -> None:
    """Tag by tag and point by point, wall times included."""
    module: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    stock = module.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    stock.Reload()
    metrics = read_metrics(folder)
    assert sorted(metrics) == sorted(stock.Tags()["scalars"])
    for tag, series in metrics.items():
        points = np.array([(event.step, event.value, event.wall_time) for event in stock.Scalars(tag)])
        np.testing.assert_array_equal(np.stack([series.steps, series.values, series.wall_times], 1), points)
