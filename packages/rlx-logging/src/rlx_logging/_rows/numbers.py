"""Numbers as they are written: plain, as text, as strict JSON, as float64."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral
from typing import Final

BUILTIN_NUMBERS: Final = frozenset({float, int, bool})
_NAMES: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


def plain(value: object) -> int | float:
    """Return a Python number for one of any library."""
    if isinstance(value, (float, int)):
        return value if type(value) in (float, int, bool) else float(value)
    return int(value) if isinstance(value, Integral) else float(value)  # type: ignore[arg-type]


def as_text(value: object) -> str:
    """Return the shortest text that reads back as the same number; ``nan`` and ``inf`` as floats print."""
    return repr(plain(value))


def name_if_not_finite(value: float) -> str | None:
    """Return ``NaN``, ``Infinity`` or ``-Infinity``, None for a finite number."""
    if isinstance(value, int) or math.isfinite(value):
        return None
    return _NAMES.get(value, "NaN")


def to_floats(values: Iterable[float]) -> list[float]:
    """Return float64 values; whole numbers too big for it become infinite."""
    return [_to_float(value) for value in values]


def _to_float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, 1 if value > 0 else -1)
