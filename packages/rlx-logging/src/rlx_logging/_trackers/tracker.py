"""What a tracker of experiments has to do to get the rows of a journal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from rlx_logging._rows.rows import Row


class Outcome(Enum):
    """How an attempt ended."""

    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"


class Tracker(ABC):
    """One run in a tracker. All calls come from one thread, the first one is `open`; any may raise."""

    name: ClassVar[str]

    @abstractmethod
    def open(self, run_id: str | None) -> str:
        """Open the run of an identity again, or a new one for None; return its identity."""

    @abstractmethod
    def send(self, rows: Sequence[Row]) -> None:
        """Log rows; those that were sent before, with the same numbers and times, are not logged twice."""

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run; others may have been logged before."""

    def close(self, outcome: Outcome) -> None:
        """Record how the attempt ended, and release everything."""

    def abandon(self, run_id: str) -> None:
        """Record that another run takes the place of a run: the snapshot that is continued from is older than its rows."""
