"""Runs that differ only in their seed, as one curve: the mean and an interval around it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SEED: Final = re.compile(r"(?:^|[_\-/ ])seed[=_\-]?\d+", re.IGNORECASE)
_NUMBER: Final = re.compile(r"[_\-/ ]s?[=_\-]?\d+$", re.IGNORECASE)
_POINTS: Final = 300
# Student's t for 95 % and 2, 3, ... degrees of freedom; with one it says next to nothing.
_T: Final = (
    4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
_NORMAL: Final = 1.960


def group_name(run: str) -> str:
    """Return the name of a run without its seed: what ``seed=3`` says in it, else a number at its end."""
    name = _SEED.sub("", run)
    name = _NUMBER.sub("", run) if name == run else name
    return name.strip("_-/ ") or run


def group_runs(names: Sequence[str]) -> dict[str, list[str]]:
    """Return the runs of each group, in their order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_name(name), []).append(name)
    return groups


class Curve(NamedTuple):
    """Points of a curve."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


class Band(NamedTuple):
    """The mean of several curves, and the 95 % confidence interval of it; NaN where there are fewer than three."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, curves: Sequence[Curve]) -> Band:
        """Average curves where they are; one that ends early counts as far as it goes."""
        import numpy as np

        x = _shared_x(curves)
        values = np.stack([_at(curve, x) for curve in curves])
        there = np.isfinite(values)
        count = there.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(there, values, 0.0).sum(axis=0) / count
            squares = np.where(there, (values - mean) ** 2, 0.0).sum(axis=0)
            half = _quantiles(count) * np.sqrt(squares / (count - 1) / count)
        return cls(x, mean, mean - half, mean + half)


def _shared_x(curves: Sequence[Curve]) -> NDArray[np.float64]:
    """Return the places of the longest curve if all others are at those, else a grid over all curves."""
    import numpy as np

    longest = max((curve.x for curve in curves), key=len)
    if all(np.isin(curve.x, longest).all() for curve in curves):
        return np.unique(longest).astype(np.float64)
    first, last = min(float(curve.x.min()) for curve in curves), max(float(curve.x.max()) for curve in curves)
    grid: NDArray[np.float64] = np.linspace(first, last, _POINTS, dtype=np.float64)
    return grid


def _at(curve: Curve, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of a curve at places, between its points by straight lines, NaN beyond its ends."""
    import numpy as np

    return np.interp(x, curve.x, curve.y, left=np.nan, right=np.nan)


def _quantiles(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    import numpy as np

    table = np.array([np.nan, np.nan, np.nan, *_T, _NORMAL])
    return table[np.minimum(counts, len(table) - 1)]
