"""Not more often than every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rlx_logging._base import BaseLogger
from rlx_logging._wrappers.wrapper import LoggerWrapper


class TimeGateLogger(LoggerWrapper):
    """Hands on at most one row of each kind in a number of seconds; the others are left out.

    Which rows pass depends on the clock: a resumed run does not log the same ones.

    Args:
        to: The wrapped logger.
        seconds: The least time between two rows of one step type.
        clock: Tells the time in seconds; only differences count.

    Raises:
        ValueError: If `seconds` is negative.
    """

    def __init__(
        self, to: BaseLogger, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(to)
        if seconds < 0:
            raise ValueError(f"seconds must not be negative; got {seconds}.")
        self.seconds = seconds
        self._clock = clock
        self._last: dict[str, float] = {}

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Hand a row on if it is time."""
        now = self._clock()
        last = self._last.get(step_type)
        if last is None or now - last >= self.seconds:
            self._last[step_type] = now
            self.to.write(step_type, step, data)
