"""What infos say about success."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.infos import Info
from rlx_sampler._batches.trees import Array

UNKNOWN: Final = -1
"""Stands for a success of which nothing was said."""
SUCCESS_KEYS: Final = ("success", "is_success")


def any_success(infos: Iterable[Info], earlier: bool | None) -> bool | None:
    """Return whether `earlier` or any of the infos says that the episode succeeded; None where none says anything."""
    reported = [_as_success(info[key]) for info in infos for key in SUCCESS_KEYS if key in info]
    known = [each for each in (earlier, *reported) if each is not None]
    return any(known) if known else None


def success_of_lanes(
    infos: Mapping[tuple[str, ...], tuple[Array, Array | None]], is_meant: Array, earlier: Array
) -> Array:
    """Return for each lane whether `earlier` or its info says success: 1, 0, or `UNKNOWN`.

    Args:
        infos: By path, the values of all lanes, and which of them have one.
        is_meant: Lanes whose infos count.
        earlier: What was known before.
    """
    known = earlier.copy()
    for key in SUCCESS_KEYS:
        if (key,) in infos:
            values, present = infos[key,]
            is_told = is_meant if present is None else is_meant & present
            told = np.where(is_told, _as_successes(values), np.int8(UNKNOWN))
            np.maximum(known, told, out=known)
    return known


def _as_successes(values: Array) -> Array:
    if values.ndim == 1 and values.dtype.kind in "biu":
        return np.asarray(values != 0, np.int8)
    each = [_as_success(value) for value in values]
    return np.array([UNKNOWN if success is None else int(success) for success in each], np.int8)


def _as_success(value: Any) -> bool | None:
    """Return a number as a truth value; None for NaN and for what is no single number."""
    if isinstance(value, bool):
        return value
    array = np.asarray(value) if isinstance(value, int | float | np.generic | np.ndarray) else None
    if array is None or array.size != 1 or array.dtype.kind not in "biuf" or np.isnan(array).any():
        return None
    return bool(array.item())
