"""Tables that Stable-Baselines3 writes, and own ones, read back."""

import json
from pathlib import Path

import numpy as np
import pytest

from rlx_logging import CsvLogger, read_metrics

CSV = """rollout/ep_rew_mean,time/total_timesteps,note,train/loss
1.5,100,"a, text",
2.5,200,,0.25
nan,300,,-inf
"""


@pytest.mark.parametrize("whole_folder", [True, False])
def test_progress_csv(tmp_path: Path, whole_folder: bool) -> None:
    """Steps are SB3's; a column that came later begins where it came; texts are texts."""
    path = tmp_path / "progress.csv"
    path.write_text(CSV)
    metrics = read_metrics(tmp_path if whole_folder else path)
    assert metrics["rollout/ep_rew_mean"].steps.tolist() == [100, 200, 300]
    np.testing.assert_array_equal(metrics["rollout/ep_rew_mean"].values, [1.5, 2.5, np.nan])
    assert metrics["train/loss"].steps.tolist() == [200, 300]
    assert metrics["train/loss"].values.tolist() == [0.25, -np.inf]
    assert metrics.texts == {"note": [(100, "a, text")]}
    assert metrics.damaged == 0


def test_progress_json(tmp_path: Path) -> None:
    """One object a line, NaN as Python writes it; lists are left out."""
    rows = [
        {"rollout/ep_rew_mean": 1.5, "time/total_timesteps": 100, "note": "x", "list": [1, 2]},
        {"rollout/ep_rew_mean": float("nan"), "time/total_timesteps": 200, "done": True},
    ]
    (tmp_path / "progress.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    metrics = read_metrics(tmp_path)
    assert metrics["rollout/ep_rew_mean"].steps.tolist() == [100, 200]
    assert metrics["done"].values.tolist() == [1.0]
    assert metrics.texts == {"note": [(100, "x")]}
    assert "list" not in metrics


@pytest.mark.parametrize(
    ("name", "torn"),
    [("progress.csv", CSV + "3.5,4"), ("progress.json", '{"a": 1}\n{"a": 2, "b'), ("progress.json", "[1]\n")],
)
def test_a_torn_line_costs_itself(tmp_path: Path, name: str, torn: str) -> None:
    """It is counted."""
    (tmp_path / name).write_text(torn)
    assert read_metrics(tmp_path / name).damaged == 1


def test_steps_without_a_column_are_the_numbers_of_the_rows(tmp_path: Path) -> None:
    """As in a table of another callback."""
    (tmp_path / "progress.csv").write_text("a\n5\n6\n")
    assert read_metrics(tmp_path)["a"].steps.tolist() == [0, 1]


def test_own_tables(tmp_path: Path) -> None:
    """A folder with CSV alone is read with scopes, steps and wall times."""
    logger = CsvLogger(tmp_path)
    logger.write("info/epoch", 3, {"x": 0.5})
    logger.write("train/env_step", 30, {"loss": 1.5})
    logger.finalize()
    metrics = read_metrics(tmp_path)
    points = {tag: (series.steps.tolist(), series.values.tolist()) for tag, series in metrics.items()}
    assert points == {
        "info/epoch": ([3], [3.0]),
        "info/x": ([3], [0.5]),
        "train/env_step": ([30], [30.0]),
        "train/loss": ([30], [1.5]),
    }
    assert metrics["info/x"].wall_times[0] > 1e9


def test_an_empty_table(tmp_path: Path) -> None:
    """It holds nothing."""
    (tmp_path / "progress.csv").write_text("")
    assert len(read_metrics(tmp_path)) == 0
