"""An event file that Stable-Baselines3 wrote, against the table it wrote beside it."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from rlx_logging import TensorboardLogger, read_metrics

NOT_FOR_TENSORBOARD = {"time/iterations", "time/time_elapsed", "time/total_timesteps", "train/n_updates"}
RUN = Path(__file__).with_name("data") / "a2c-sb3-2.9.2.tfevents"


def _table() -> list[dict[str, str]]:
    with RUN.with_suffix(".csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_no_point_of_a_run_of_stable_baselines_is_dropped() -> None:
    """Every cell of progress.csv is a point of the event file, at its step; TensorBoard keeps float32."""
    rows = _table()
    metrics = read_metrics(RUN)
    assert metrics.damaged == 0
    assert set(rows[0]) - set(metrics) == NOT_FOR_TENSORBOARD
    for tag, series in metrics.items():
        cells = [(int(row["time/total_timesteps"]), float(row[tag])) for row in rows if row[tag]]
        assert series.steps.tolist() == [step for step, _ in cells]
        assert series.values.tolist() == [float(np.float32(value)) for _, value in cells]


def test_tensorboard_itself_finds_as_much() -> None:
    """TensorBoard's own reader has the same tags, steps and values."""
    module = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    stock = module.EventAccumulator(str(RUN), size_guidance={"scalars": 0})
    stock.Reload()
    metrics = read_metrics(RUN)
    assert sorted(metrics) == sorted(stock.Tags()["scalars"])
    for tag, series in metrics.items():
        points = [(event.step, event.value, event.wall_time) for event in stock.Scalars(tag)]
        assert list(zip(series.steps, series.values, series.wall_times, strict=True)) == points


def test_it_is_read_from_its_folder(tmp_path: Path) -> None:
    """Under the name that SB3 gives it."""
    shutil.copy(RUN, tmp_path / "events.out.tfevents.1700000000.host.1.0")
    restored = TensorboardLogger.restore_logged_data(str(tmp_path))
    assert sorted(restored) == ["rollout", "time", "train"]
