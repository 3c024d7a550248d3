"""Columns of a log put together into series."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rlx_logging._metrics.metrics import Series

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Column(NamedTuple):
    """Values of one tag from records of one kind, and where in the file those are."""

    starts: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


def join_columns(parts: list[Column]) -> Series:
    """Return one series in the order of the file."""
    import numpy as np

    if len(parts) == 1:
        return Series(*parts[0][1:])
    order = np.argsort(np.concatenate([part.starts for part in parts]), kind="stable")
    steps = np.concatenate([part.steps for part in parts])
    values = np.concatenate([part.values for part in parts])
    times = np.concatenate([part.times for part in parts])
    return Series(steps[order], values[order], times[order])
