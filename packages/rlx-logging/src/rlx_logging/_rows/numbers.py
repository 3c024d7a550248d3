"""Numbers as they are logged: plain ones of Python, whatever library they came from."""

from __future__ import annotations

import math
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, Final, cast

from rlx_logging._offers import elements_of, kind_of, shape_of

BUILTIN_NUMBERS: Final = frozenset({float, int, bool})
TEXTS: Final = (str, bytes, bytearray, memoryview)
LEAST: Final = -(2**63)
BEYOND: Final = 2**64
_DATES: Final = frozenset("mM")  # numpy's, which call themselves whole numbers
_NAMES: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def as_number(value: object) -> int | float | None:
    """Return `value` as a plain bool, int or float, or None if it is no real number.

    Numbers of every kind are taken: of Python and numpy, fractions and decimals, and the
    only element of an array or tensor of any library. Whole numbers that do not fit into
    64 bits become floats, infinite ones beyond float64. Dates, durations, masked and complex
    values and texts are no numbers.
    """
    if type(value) is float:
        return value
    number = exact_number(value)
    return _nearest(number) if isinstance(number, int) and not LEAST <= number < BEYOND else number


def exact_number(value: object) -> int | float | None:
    """Return what `as_number` returns, but whole numbers of any size as they are."""
    if type(value) in BUILTIN_NUMBERS:
        return cast("float", value)
    try:
        return _converted(value)
    except OverflowError:
        return _infinite(value)
    except Exception:  # noqa: BLE001 - a foreign object may raise anything
        return None


def _converted(value: Any) -> float | None:
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (Real, Decimal)):
        kind = kind_of(value)
        if kind == "f":
            return float(value)
        if kind not in _DATES:
            return int(value) if isinstance(value, Integral) else float(value)
    elif not isinstance(value, TEXTS) and kind_of(value) not in _DATES:
        return _only_element(value)
    return None


def _only_element(array: Any) -> float | None:
    """Return the number in an array or tensor of one element; None where it is masked, or there are more."""
    shape = shape_of(array)
    if shape is None or any(length != 1 for length in shape):
        return None
    element = elements_of(array)
    while isinstance(element, list):
        (element,) = cast("list[object]", element)
    return None if element is array else exact_number(element)


def _nearest(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return _infinite(number)


def _infinite(number: Any) -> float:
    return math.inf if number > 0 else -math.inf


def name_if_not_finite(value: float) -> str | None:
    """Return ``NaN``, ``Infinity`` or ``-Infinity``, None for a finite number."""
    if isinstance(value, int) or math.isfinite(value):
        return None
    return _NAMES.get(value, "NaN")
