"""How far a sweep is, for people: a line in a terminal, one a job in a file, a bar in a notebook."""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta

from rlx_experiment._notebook import ProgressCell, in_notebook
from rlx_experiment._sweeps.jobs import JobResult, counts
from rlx_experiment._terminal import notify


class SweepProgress:
    """Shows how many jobs have ended, how long the others will take, and the first line of each failure."""

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._live = enabled and sys.stderr.isatty()
        self._cell = ProgressCell() if enabled and in_notebook() else None
        self._start = time.monotonic()
        self._ended = 0

    def show(self, results: Sequence[JobResult], ended: JobResult | None = None) -> None:
        """Show where the sweep stands, `ended` being the job that has ended just now."""
        if not self._enabled:
            return
        self._ended += ended is not None
        line = self._line(results)
        failure = f"{ended.path.name} failed: {ended.error}" if ended and ended.state == "failed" else ""
        if self._cell:
            if failure:
                self._cell.note(failure)
            to_go = sum(result.state == "to go" for result in results)
            self._cell.show(line, 1 - to_go / max(len(results), 1))
        elif self._live:
            above = f"{failure}\n" if failure else ""
            notify(f"\r\033[K{above}{line}", end="")
        elif ended is not None:
            notify(f"{line}; {failure or f'{ended.path.name} {ended.state}'}")

    def close(self, results: Sequence[JobResult]) -> None:
        """Leave the last line, and name what failed."""
        if self._live:
            notify("")
        if not self._enabled or self._cell:
            return
        for result in results:
            if result.state == "failed":
                tries = f"{result.tries} {'try' if result.tries == 1 else 'tries'}"
                why = f" ({result.error}; see its console.log)" if result.path.exists() else ""
                notify(f"failed after {tries}: {result.path}{why}")

    def _line(self, results: Sequence[JobResult]) -> str:
        took = time.monotonic() - self._start
        line = f"sweep of {len(results)}: {counts(results)}, {_clock(took)}"
        to_go = sum(result.state == "to go" for result in results)
        return f"{line}, about {_clock(took / self._ended * to_go)} left" if self._ended and to_go else line


def _clock(seconds: float) -> timedelta:
    return timedelta(seconds=round(seconds))
