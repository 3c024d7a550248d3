"""What is compared, and what is raised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

Points: TypeAlias = Mapping[str, Sequence[tuple[int, float]]]


class ConformanceError(AssertionError):
    """A backend breaks a rule; the message names it and what was seen."""


def sorted_points(points: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return points by their steps, plain."""
    return sorted(((int(step), float(value)) for step, value in points), key=lambda point: point[0])


def check_points(
    rule: str,
    found: Points,
    expected: Points,
    *,
    stored: Callable[[float], float],
    named: Callable[[str], str],
) -> None:
    """Compare what a backend holds with what was logged.

    Raises:
        ConformanceError: If a point is missing, there twice, or another.
    """
    for tag, wanted in expected.items():
        there = sorted_points(found.get(named(tag), ()))
        due = sorted_points((step, stored(value)) for step, value in wanted)
        if len(there) != len(due) or not all(map(_same, there, due)):
            raise ConformanceError(f"{rule}: {tag!r} must be {due}; the backend holds {there}.")


def _same(one: tuple[int, float], other: tuple[int, float]) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or (math.isnan(one[1]) and math.isnan(other[1])))
