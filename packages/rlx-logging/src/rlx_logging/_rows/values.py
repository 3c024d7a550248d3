"""Which values can be logged. numpy is touched only where a value may be an array."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from numbers import Complex, Real
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from rlx_logging._offers import item_of, shape_of
from rlx_logging._rows.numbers import BUILTIN_NUMBERS, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REAL_KINDS: Final = "biuf"
_NAMES: Final = frozenset({str})


def as_real(value: object) -> Real | float | None:
    """Return `value` as a real number, or None if it is none.

    Numbers of Python and numpy come back as they are; arrays and tensors without
    dimensions and numpy's bool come back as the Python number they hold.
    """
    if isinstance(value, Real):
        return value
    if isinstance(value, (str, bytes, Complex)) or shape_of(value) != ():
        return None
    item = item_of(value)
    return item if isinstance(item, (bool, int, float)) else None


def is_real_array(value: object) -> TypeGuard[NDArray[Any]]:
    """Tell whether `value` is a numpy array of real numbers with at least one dimension."""
    if not shape_of(value):
        return False
    import numpy as np

    if not isinstance(value, np.ndarray):
        return False
    return cast("NDArray[Any]", value).dtype.kind in _REAL_KINDS


def as_argument(value: object) -> str | float | None:
    """Return an argument of a run as JSON knows it: a text, a Python number or None; else its repr."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    number = as_real(value)
    return repr(value) if number is None else plain(number)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether `value` is a mapping."""
    return isinstance(value, Mapping)


def flatten(
    data: Mapping[Any, Any],
    *,
    prefix: str = "",
    delimiter: str = "/",
    exclude_arrays: bool = True,
    left_out: Callable[[str, object], None] = lambda _key, _value: None,
) -> dict[str, Any]:
    """Return the loggable values of a nested mapping under joined keys; `left_out` hears of the others."""
    if (
        not prefix
        and BUILTIN_NUMBERS.issuperset(map(type, data.values()))
        and _NAMES.issuperset(map(type, data))
    ):
        return dict(data)
    flat: dict[str, Any] = {}
    for key, value in _leaves(data, prefix, delimiter):
        if type(value) in (float, int):
            flat[key] = value
        elif (number := as_real(value)) is not None:
            flat[key] = number
        elif not exclude_arrays and is_real_array(value):
            flat[key] = value
        else:
            left_out(key, value)
    return flat


def _leaves(data: Mapping[Any, Any], prefix: str, delimiter: str) -> Iterator[tuple[str, Any]]:
    for key, value in data.items():
        name = f"{prefix}{delimiter}{key}" if prefix else str(key)
        if is_mapping(value):
            yield from _leaves(value, name, delimiter)
        else:
            yield name, value
