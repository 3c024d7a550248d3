"""Many seeds as one number with an interval: interquartile means and stratified bootstrap."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Estimate(NamedTuple):
    """A value and its bootstrap interval."""

    value: float
    low: float
    high: float


class Band(NamedTuple):
    """A curve and its bootstrap interval at each point."""

    value: "NDArray[np.float64]"
    low: "NDArray[np.float64]"
    high: "NDArray[np.float64]"


def iqm(scores: "ArrayLike") -> "NDArray[np.float64]":
    """Return the interquartile mean along the last axis: the mean without the lowest and highest quarter.

    With fewer than four values nothing is left out. Source: Agarwal et al. (2021), section 4.3.
    """
    ordered = np.sort(np.asarray(scores, dtype=float), axis=-1)
    count = ordered.shape[-1]
    cut = count // 4
    mean: NDArray[np.float64] = ordered[..., cut : count - cut].mean(axis=-1)
    return mean


def estimate_iqm(
    scores: "Sequence[ArrayLike]", *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0
) -> Estimate:
    """Return the interquartile mean over all of `scores` with a stratified bootstrap interval.

    Seeds are drawn again within each task, so every resample has each task as often as the data.
    Source: Agarwal et al. (2021), section 4.1, percentile method.

    Args:
        scores: For each task the final scores of its runs, of any number.
        resamples: Bootstrap samples.
        confidence: Probability that the interval covers.
        seed: Seed of the resampling; equal input gives equal output.

    Raises:
        ValueError: A task without scores, or no task.
    """
    tasks = [np.asarray(task, dtype=float) for task in scores]
    if not tasks or any(task.ndim != 1 or task.size == 0 for task in tasks):
        raise ValueError(
            f"each task needs at least one score, in one dimension; got shapes {[t.shape for t in tasks]}"
        )
    random = np.random.default_rng(seed)
    drawn = [task[random.integers(task.size, size=(resamples, task.size), dtype=np.int32)] for task in tasks]
    low, high = _interval(_iqm_of_rows(np.concatenate(drawn, axis=1)), confidence)
    return Estimate(float(iqm(np.concatenate(tasks))), float(low), float(high))


def _iqm_of_rows(rows: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the interquartile mean of each row, by selection rather than by sorting; `rows` is reordered."""
    count = rows.shape[1]
    cut = count // 4
    if cut:
        rows.partition((cut, count - cut - 1), axis=1)
    mean: NDArray[np.float64] = rows[:, cut : count - cut].mean(axis=1)
    return mean


def iqm_band(
    curves: "NDArray[np.float64]", *, resamples: int = 500, confidence: float = 0.95, seed: int = 0
) -> Band:
    """Return the interquartile mean of `curves`, (runs, points), with a bootstrap interval at each point.

    Whole runs are drawn, the same ones for every point.
    """
    runs, points = curves.shape
    random = np.random.default_rng(seed)
    chosen = random.integers(runs, size=(resamples, runs))
    low, high = np.empty(points), np.empty(points)
    for start in range(0, points, 64):  # in blocks, which stay in the cache
        block = curves[:, start : start + 64]
        means = iqm(np.moveaxis(block[chosen], 1, -1))
        low[start : start + 64], high[start : start + 64] = _interval(means, confidence)
    return Band(iqm(curves.T), low, high)


def _interval(means: "NDArray[np.float64]", confidence: float) -> "NDArray[np.float64]":
    tail = (1 - confidence) / 2
    bounds: NDArray[np.float64] = np.quantile(means, [tail, 1 - tail], axis=0)
    return bounds
