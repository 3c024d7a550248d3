"""Keys under a prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rlx_logging._base import BaseLogger
from rlx_logging._wrappers.wrapper import LoggerWrapper


class PrefixLogger(LoggerWrapper):
    """Puts a prefix before every key: ``loss`` is logged as ``train/<prefix>/loss``.

    Args:
        to: The wrapped logger.
        prefix: What stands before the slash, as the name of an agent among several.

    Raises:
        ValueError: If the prefix is empty.
    """

    def __init__(self, to: BaseLogger, prefix: str) -> None:
        super().__init__(to)
        if not prefix:
            raise ValueError(f"the prefix must not be empty; got {prefix!r}.")
        self.prefix = prefix

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Hand a row on under prefixed keys; the step keeps its name."""
        self.to.write(step_type, step, {f"{self.prefix}/{key}": value for key, value in data.items()})
