"""Processors that rename, leave out and thin out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from rlx_logging._rows.rows import Row


class AddPrefix:
    """Puts a prefix before every key: ``loss`` is logged as ``train/<prefix>/loss``; the step keeps its name.

    Args:
        prefix: What stands before the slash, as the name of an agent among several.

    Raises:
        ValueError: If the prefix is empty.
    """

    def __init__(self, prefix: str) -> None:
        if not prefix:
            raise ValueError(f"prefix must be a name, not {prefix!r}.")
        self.prefix = prefix

    def __call__(self, row: Row) -> Row:
        """Return the row under prefixed keys."""
        start = f"{row.layout.scope}/"
        arrays = {
            f"{start}{self.prefix}/{tag.removeprefix(start)}": array for tag, array in row.arrays.items()
        }
        return row.with_data({f"{self.prefix}/{key}": value for key, value in row.data.items()}, arrays)


class KeepKeys:
    """Keeps only the values whose full names match, as ``train/*`` or ``*/loss``; drops a row of which nothing is left.

    Args:
        include: Shell patterns of names to keep.
        exclude: Shell patterns of names to leave out; stronger than `include`.
    """

    def __init__(self, include: Sequence[str] = ("*",), *, exclude: Sequence[str] = ()) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def __call__(self, row: Row) -> Row | None:
        """Return the row with the values whose names match."""
        data = {key: value for key, value in row.data.items() if self._keeps(f"{row.layout.scope}/{key}")}
        arrays = {tag: array for tag, array in row.arrays.items() if self._keeps(tag)}
        if not data and not arrays and (row.values or row.arrays):
            return None
        return row.with_data(data, arrays)

    def _keeps(self, tag: str) -> bool:
        return _any_matches(tag, self.include) and not _any_matches(tag, self.exclude)


def _any_matches(tag: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tag, pattern) for pattern in patterns)


class AtMostEvery:
    """Lets through at most one row of each kind in a number of seconds.

    Which rows pass depends on the clock: a resumed run does not log the same ones.

    Args:
        seconds: The least time between two rows of one step type.
        clock: Tells the time in seconds; only differences count.

    Raises:
        ValueError: If `seconds` is negative.
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if seconds < 0:
            raise ValueError(f"seconds must not be negative; got {seconds}.")
        self.seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}

    def __call__(self, row: Row) -> Row | None:
        """Return the row if it is time."""
        now, last = self._clock(), self._last.get(row.step_type)
        if last is not None and now - last < self.seconds:
            return None
        self._last[row.step_type] = now
        return row
