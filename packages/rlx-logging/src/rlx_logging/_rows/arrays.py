"""Arrays of numbers as they are logged, and their histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rlx_logging._offers import elements_of, kind_of, shape_of
from rlx_logging._rows.numbers import TEXTS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REAL_KINDS: Final = frozenset("biuf")
_MOST_BINS: Final = 64


def as_array(value: object) -> NDArray[Any] | None:
    """Return an array or tensor of any library as a numpy array, or None if it is none of real numbers.

    It has at least one dimension. Masked elements become NaN.
    """
    if not shape_of(value) or isinstance(value, TEXTS):
        return None
    import numpy as np

    array = value if type(value) is np.ndarray else _converted(value)
    return array if array is not None and array.ndim and array.dtype.kind in _REAL_KINDS else None


def _converted(value: Any) -> NDArray[Any] | None:
    """Return what is no plain array as one: a masked one, a tensor, a column of a table."""
    import numpy as np

    try:
        if _is_masked(value):
            return np.where(np.ma.getmaskarray(value), np.nan, np.ma.getdata(value))
        if kind_of(value) in _REAL_KINDS:
            return np.asarray(value)
        return np.asarray(
            elements_of(value)
        )  # a tensor: perhaps on a device, with a gradient, of its own type
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        return None


def _is_masked(value: Any) -> bool:
    import numpy as np

    array: Any = value if isinstance(value, np.ma.MaskedArray) else None  # pyright: ignore[reportUnknownVariableType]
    return array is not None and bool(np.ma.is_masked(array))


class Histogram(NamedTuple):
    """What is shown of an array: its finite elements, counted between edges."""

    least: float
    greatest: float
    num: int
    total: float
    squares: float
    counts: NDArray[np.int64]
    edges: NDArray[np.float64]

    @classmethod
    def of(cls, array: NDArray[Any]) -> Histogram:
        """Count the elements of an array; those that are not finite are left out."""
        import numpy as np

        with np.errstate(all="ignore"):
            numbers = np.asarray(array, np.float64).ravel()
            numbers = numbers[np.isfinite(numbers)]
            counts, edges = _counted(numbers)
            return cls(
                least=float(numbers.min(initial=np.inf)) if numbers.size else 0.0,
                greatest=float(numbers.max(initial=-np.inf)) if numbers.size else 0.0,
                num=numbers.size,
                total=float(numbers.sum()),
                squares=float((numbers**2).sum()),
                counts=counts,
                edges=edges,
            )


def _counted(numbers: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    import numpy as np

    scaled = numbers / 4  # the distance of two finite numbers may be infinite, that of their quarters is not
    if not numbers.size or np.isfinite(np.ptp(numbers)):
        scaled = numbers
    try:
        counts, edges = np.histogram(scaled, bins=min(_MOST_BINS, max(1, numbers.size)))
    except ValueError:  # there are fewer numbers than bins between the least and the greatest
        counts, edges = np.histogram(scaled, bins=1)
    return counts, edges if scaled is numbers else edges * 4
