"""Takes rows from the journal to a tracker, each once, whatever is killed in between."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from rlx_logging._journal.tail import JournalTail
from rlx_logging._rows.rows import Row
from rlx_logging._sending.position import Position
from rlx_logging._trackers.tracker import Outcome, Tracker

_ROWS_AT_ONCE: Final = 200
_PAUSE: Final = 30.0  # seconds from a failure to the next try


class Delivery:
    """One attempt's way into a tracker; lives in the thread that talks to it.

    Args:
        folder: The run folder.
        tracker: The tracker.
        rows: How many rows of the journal are kept from earlier attempts.
    """

    def __init__(self, folder: Path, tracker: Tracker, rows: int) -> None:
        self._folder = folder
        self._tracker = tracker
        self._record = folder / f"logs.{tracker.name}.json"
        self._tail = JournalTail(folder)
        self._read: list[Row] = []
        self._end = 0
        self._not_before = 0.0
        folder.mkdir(parents=True, exist_ok=True)
        self._position = self._open(rows)

    def _open(self, rows: int) -> Position:
        """Continue the run of the folder; begin another one where that has rows which were taken back."""
        found = Position.read(self._record)
        if found is not None and found.begun > rows:
            self._tracker.abandon(found.run_id)
            found = None
        run_id = self._tracker.open(None if found is None else found.run_id)
        if found is None or found.run_id != run_id:
            found = Position(run_id)
        found.write(self._record)
        return found

    def deliver(self, end: int) -> None:
        """Send the rows of the journal before number `end` that the tracker lacks; after a failure not at once again."""
        self._end = max(self._end, end)
        if time.monotonic() >= self._not_before:
            self._send()

    def _send(self) -> None:
        end = self._end
        if end <= self._position.sent:
            return
        if not self._tail.path.is_file():
            raise FileNotFoundError(
                f"{self._tracker.name} sends the rows of the journal, and there is none in {self._folder}: "
                "use make_logger, or JournalLogger(...).add_backend(...)."
            )
        self._move(self._position._replace(begun=end))
        self._read += self._tail.new_rows()
        rows = [row for row in self._read if self._position.sent <= row.number < end]
        try:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                self._tracker.send(rows[start : start + _ROWS_AT_ONCE])
        except Exception:
            self._not_before = time.monotonic() + _PAUSE
            self._tail, self._read = (
                JournalTail(self._folder),
                [],
            )  # not kept in memory: they are in the journal
            raise
        self._read = [row for row in self._read if row.number >= end]
        self._move(self._position._replace(sent=end))

    def _move(self, position: Position) -> None:
        self._position = position
        position.write(self._record)

    def close(self, outcome: Outcome) -> None:
        """Send what a failure kept back, and end the attempt."""
        self._send()
        self._tracker.close(outcome)
