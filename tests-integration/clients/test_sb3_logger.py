"""Event files that the Logger of Stable-Baselines3 writes, read without dropping a point."""

import csv
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import make_logger, read_metrics, sb3_writer

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

torch: Any = pytest.importorskip("torch", reason="needs torch")
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


def test_our_loggers_take_what_sb3_logs(tmp_path: Path) -> None:
    """A configured logger with our output format: its numbers, texts, pictures and arguments reach every backend."""
    sb3: Any = import_module("stable_baselines3.common.logger")
    ours = make_logger("csv, tensorboard", log_dir=tmp_path / "ours")
    logger = sb3.configure(str(tmp_path / "theirs"), ["csv"])
    logger.output_formats.append(sb3_writer(ours))
    hidden = ("csv",)
    for row in range(5):
        logger.record("rollout/ep_rew_mean", np.float32(row / 2))
        logger.record("time/total_timesteps", row * 64, exclude="tensorboard")
        logger.record("secret", 1.0, exclude=("csv", "rlx"))
        if row:
            logger.record("train/loss", 1 / row)
        if row == 2:
            logger.record("note", "a text", exclude=hidden)
            logger.record("weights/layer", np.arange(4.0), exclude=hidden)
            logger.record("video", sb3.Video(torch.zeros(1, 2, 3, 4, 4), fps=4), exclude=hidden)
            logger.record("picture", sb3.Image(np.zeros((4, 6, 3), np.uint8), "HWC"), exclude=hidden)
            logger.record("hparams", sb3.HParam({"lr": 0.1}, {"train/loss": 0.0}), exclude=hidden)
        logger.dump(row * 64)
    logger.close()
    metrics, theirs = read_metrics(tmp_path / "ours"), read_metrics(tmp_path / "theirs")
    for tag in ("rollout/ep_rew_mean", "time/total_timesteps", "train/loss"):
        assert metrics[tag].steps.tolist() == theirs[tag].steps.tolist()
        np.testing.assert_allclose(metrics[tag].values, theirs[tag].values, rtol=1e-6)
    assert (metrics.texts["note"], metrics.hparams) == ([(128, "a text")], {"lr": 0.1})
    assert [array.tolist() for _, array in metrics.arrays["weights/layer"]] == [[0.0, 1.0, 2.0, 3.0]]
    assert "info/secret" not in metrics


@pytest.mark.parametrize("name", ["csv", "json"])
def test_sb3s_tables_are_read(tmp_path: Path, name: str) -> None:
    """PPO's own progress file, with the columns that come after the first dump."""
    sb3: Any = import_module("stable_baselines3")
    model = sb3.PPO("MlpPolicy", "CartPole-v1", n_steps=32, batch_size=32, n_epochs=1, device="cpu")
    model.set_logger(import_module("stable_baselines3.common.logger").configure(str(tmp_path), [name]))
    model.learn(96)
    model.logger.close()
    metrics = read_metrics(tmp_path)
    assert metrics["time/total_timesteps"].steps.tolist() == [32, 64, 96]
    assert metrics["train/loss"].steps.tolist() == [64, 96]
    assert np.isfinite(metrics["train/loss"].values).all()
