"""What infos say about success."""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.infos import Info

SUCCESS_KEYS: Final = ("success", "is_success")


def any_success(infos: Iterable[Info], earlier: bool | None) -> bool | None:
    """Return whether `earlier` or any of the infos says that the episode succeeded; None where none says anything."""
    reported = [_as_success(info[key]) for info in infos for key in SUCCESS_KEYS if key in info]
    known = [each for each in (earlier, *reported) if each is not None]
    return any(known) if known else None


def _as_success(value: Any) -> bool | None:
    """Return a number as a truth value; None for NaN and for what is no single number."""
    if isinstance(value, bool):
        return value
    array = np.asarray(value) if isinstance(value, int | float | np.generic | np.ndarray) else None
    if array is None or array.size != 1 or array.dtype.kind not in "biuf" or np.isnan(array).any():
        return None
    return bool(array.item())
