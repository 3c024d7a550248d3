"""Curves of many runs: groups, intervals, colours and a legend that fits."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import JournalLogger
from rlx_logging._cli import main
from rlx_logging._metrics.groups import Band, Curve, group_name, group_runs
from rlx_logging._metrics.styles import EASY, Legend, elide, styles


@pytest.mark.parametrize(
    ("run", "group"),
    [
        ("ppo_3", "ppo"),
        ("ppo-12", "ppo"),
        ("ppo_s3", "ppo"),
        ("ppo_lr=0.1_seed=3", "ppo_lr=0.1"),
        ("seed=3_lr=0.1", "lr=0.1"),
        ("ppo/seed_3", "ppo"),
        ("ppo_seed=3_1", "ppo_1"),
        ("lr=0.1", "lr=0.1"),
        ("CartPole-v1", "CartPole-v1"),
        ("7", "7"),
        ("seed=7", "seed=7"),
    ],
)
def test_a_group_is_named_as_its_runs_without_their_seeds(run: str, group: str) -> None:
    """What names a seed goes, else a number at the end; numbers of arguments and environments stay."""
    assert group_name(run) == group


def test_runs_are_grouped_in_their_order() -> None:
    """Groups stand in the order of their first runs."""
    assert group_runs(["b_0", "a_0", "b_1"]) == {"b": ["b_0", "b_1"], "a": ["a_0"]}


def curve(values: list[float], x: list[float] | None = None) -> Curve:
    """Return a curve over 0, 1, 2 ..."""
    places = np.arange(len(values), dtype=np.float64) if x is None else np.array(x)
    return Curve(places, np.array(values))


def test_the_interval_is_students() -> None:
    """Mean 2, standard deviation 1, three runs: 2 plus and minus 4.303 / sqrt(3)."""
    band = Band.of([curve([1.0]), curve([2.0]), curve([3.0])])
    assert band.mean.tolist() == [2.0]
    assert band.high[0] - band.mean[0] == pytest.approx(4.303 / math.sqrt(3))
    assert band.mean[0] - band.low[0] == pytest.approx(4.303 / math.sqrt(3))


def test_a_run_that_ends_early_counts_as_far_as_it_goes() -> None:
    """The curve is not cut there; two runs make no interval."""
    band = Band.of([curve([1.0, 1.0, 1.0]), curve([2.0, 2.0, 2.0]), curve([6.0])])
    assert band.mean.tolist() == [3.0, 1.5, 1.5]
    assert np.isfinite(band.low).tolist() == [True, False, False]


def test_runs_with_steps_of_their_own_are_averaged_between_them() -> None:
    """On a grid over all of them, by straight lines."""
    band = Band.of([curve([0.0, 10.0], [0.0, 10.0]), curve([1.0, 8.0], [1.0, 8.0])])
    assert (band.x[0], band.x[-1]) == (0.0, 10.0)
    np.testing.assert_allclose(band.mean, band.x)


def test_values_that_are_not_finite_are_left_out_of_the_mean() -> None:
    """The other runs have theirs there."""
    band = Band.of([curve([1.0, math.nan]), curve([3.0, 5.0])])
    assert band.mean.tolist() == [2.0, 5.0]


@pytest.mark.parametrize("count", [1, EASY, EASY + 1, 24, 200])
def test_no_colour_repeats(count: int) -> None:
    """However many there are."""
    assert len({style.colour for style in styles(count)}) == count


def test_a_long_name_keeps_both_ends() -> None:
    """That is where names differ."""
    assert elide("abcdefghij", 10) == "abcdefghij"
    assert elide("abcdefghijk", 10) == "abcde…hijk"


@pytest.mark.parametrize("width", [4.2, 12.6])
@pytest.mark.parametrize("length", [3, 30, 100])
def test_the_legend_is_within_the_picture(width: float, length: int) -> None:
    """It has the names that there is room for, and says how many are left out."""
    figure_of: Any = pytest.importorskip("matplotlib.figure", reason="needs matplotlib")
    count = 150
    legend = Legend([f"{number:03}".rjust(length, "m") for number in range(count)], width)
    figure = figure_of.Figure(figsize=(width, 3 + legend.height), layout="constrained")
    figure.subplots()
    legend.add_to(figure, styles(count))
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    assert box.x1 <= width
    assert box.height <= legend.height + 0.3
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[-1] == f"… and {count - len(texts) + 1} more"


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Return twelve runs of two groups."""
    folders = [tmp_path / f"{name}_seed={seed}" for name in ("ppo", "sac") for seed in range(6)]
    for number, folder in enumerate(folders):
        logger = JournalLogger(folder)
        for epoch in range(5):
            logger.write("info/epoch", epoch, {"r": float(number + epoch)})
        logger.finalize()
    return [str(folder) for folder in folders]


def test_many_runs_are_drawn_as_groups(runs: list[str], tmp_path: Path) -> None:
    """Unless that is not wanted; a few runs are drawn one by one, unless groups are wanted."""
    matplotlib: Any = pytest.importorskip("matplotlib", reason="needs matplotlib")
    drawn: dict[str, str] = {}
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        for name, arguments in {
            "many": runs,
            "each": [*runs, "--no-group"],
            "few": runs[4:8],
            "few grouped": [*runs[4:8], "--group"],
        }.items():
            picture = tmp_path / f"{name}.svg"
            assert main(["plot", *arguments, "-o", str(picture)]) == 0
            drawn[name] = picture.read_text(encoding="utf-8")
    assert ">ppo (6)<" in drawn["many"]
    assert ">sac (6)<" in drawn["many"]
    assert ">ppo_seed=5<" in drawn["each"]
    assert ">ppo_seed=5<" in drawn["few"]
    assert ">ppo (2)<" in drawn["few grouped"]
