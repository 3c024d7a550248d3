"""Only some keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from rlx_logging._base import BaseLogger
from rlx_logging._wrappers.wrapper import LoggerWrapper


class KeyFilterLogger(LoggerWrapper):
    """Hands on only the values whose full names match, as ``train/*`` or ``*/loss``.

    A row of which nothing is left is not handed on.

    Args:
        to: The wrapped logger.
        include: Shell patterns of names to keep.
        exclude: Shell patterns of names to leave out; stronger than `include`.
    """

    def __init__(
        self, to: BaseLogger, *, include: Sequence[str] = ("*",), exclude: Sequence[str] = ()
    ) -> None:
        super().__init__(to)
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Hand the values on whose names match."""
        scope = step_type.partition("/")[0]
        kept = {key: value for key, value in data.items() if self._keeps(f"{scope}/{key}")}
        if kept or not data:
            self.to.write(step_type, step, kept)

    def _keeps(self, tag: str) -> bool:
        return _any_matches(tag, self.include) and not _any_matches(tag, self.exclude)


def _any_matches(tag: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tag, pattern) for pattern in patterns)
