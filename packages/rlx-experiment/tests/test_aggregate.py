"""Interquartile means and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_experiment._reports.aggregate import estimate_iqm, iqm, iqm_band
from rlx_experiment._reports.curves import align, choose_metric

SCORES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


def test_leaves_out_the_outer_quarters() -> None:
    """Of eight values the middle four count."""
    assert iqm([100.0, 1, 2, 3, 4, 5, 6, -100]) == (2 + 3 + 4 + 5) / 4


@given(SCORES)
def test_equals_a_trimmed_mean(scores: list[float]) -> None:
    """The value is the mean of the sorted values without a quarter, rounded down, at each end."""
    cut = int(0.25 * len(scores))
    expected = np.mean(sorted(scores)[cut : len(scores) - cut])
    assert iqm(scores) == pytest.approx(expected, abs=1e-6)
    assert estimate_iqm([scores], resamples=10).value == pytest.approx(expected, abs=1e-6)


def test_intervals_are_those_of_a_plain_bootstrap() -> None:
    """The fast bootstrap agrees with one written as a loop, up to chance."""
    random = np.random.default_rng(1)
    tasks = [random.normal(task, 1, size=5 + task) for task in range(4)]
    means = [
        iqm(np.concatenate([random.choice(task, size=task.size) for task in tasks])) for _ in range(4000)
    ]
    found = estimate_iqm(tasks, resamples=4000)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.06)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of many samples, about 95 in 100 intervals hold the true value (30 seeds; fewer with few seeds)."""
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        found = estimate_iqm([random.normal(size=30)], resamples=400, seed=trial)
        hits += found.low <= 0 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_the_same_input_gives_the_same_interval() -> None:
    """Resampling is seeded."""
    assert estimate_iqm([[1, 2, 3]]) == estimate_iqm([[1, 2, 3]])


def test_refuses_tasks_without_scores() -> None:
    """An empty task is an error that shows shapes."""
    with pytest.raises(ValueError, match="at least one score"):
        estimate_iqm([[1.0], []])


def test_a_band_holds_its_curve() -> None:
    """At each point the interval holds the value, and one run has no interval."""
    curves = np.random.default_rng(0).normal(size=(5, 150))
    band = iqm_band(curves)
    assert (band.low <= band.value).all()
    assert (band.value <= band.high).all()
    single = iqm_band(curves[:1])
    assert (single.low == single.high).all()


def test_curves_of_different_steps_are_aligned() -> None:
    """Values are interpolated on the union of steps, as far as all curves go."""
    grid, values = align(
        [(np.array([0.0, 2, 4]), np.array([0.0, 2, 4])), (np.array([0.0, 1, 3]), np.array([1.0] * 3))]
    )
    assert grid.tolist() == [0, 1, 2, 3]
    assert values.tolist() == [[0, 1, 2, 3], [1, 1, 1, 1]]


@pytest.mark.parametrize(
    ("wanted", "chosen"), [(None, "info/AverageReturn"), ("loss", "update/loss"), ("x/y", "x/y")]
)
def test_metrics_are_chosen_by_their_end(wanted: str | None, chosen: str) -> None:
    """A tag is named by itself or by its last part; without a name a return is taken."""
    assert choose_metric(["update/loss", "info/AverageReturn", "x/y"], wanted) == chosen
