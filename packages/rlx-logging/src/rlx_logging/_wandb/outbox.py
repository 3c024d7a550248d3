"""Rows on their way: numbered, and held back until a snapshot covers them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rlx_logging._sending.sender import Job


class Outbox:
    """Numbers jobs and decides when they may go.

    Args:
        hold: Keep jobs until `release`; without it they go at once.

    Attributes:
        rows: How many rows there were in the whole run.
        sent: How many of them went out.
        epoch: The epoch that was logged last; the next snapshot is that of it.
        may_be_resumed: Whether snapshots are taken that rows wait for.
    """

    def __init__(self, *, hold: bool) -> None:
        self.rows = 0
        self.sent = 0
        self.epoch: int | None = None
        self.may_be_resumed = False
        self._hold = hold
        self._held: deque[tuple[int, Job]] = deque()
        self._marks: deque[tuple[int | None, int]] = deque()

    def next_number(self) -> int:
        """Return the number of a new row."""
        self.rows += 1
        return self.rows - 1

    def put(self, number: int, job: Job) -> list[Job]:
        """Take a job that belongs to a row; return those that may go now."""
        if self._hold:
            self._held.append((number, job))
            return []
        self.sent = self.rows
        return [job]

    def mark(self) -> None:
        """Note that a snapshot taken now covers all rows so far."""
        if self._hold:
            self.may_be_resumed = True
            self._marks.append((self.epoch, self.rows))

    def release(self, epoch: int | None) -> Iterator[Job]:
        """Yield the jobs that the snapshot of `epoch` covers; all of them for None."""
        limit = self.rows if epoch is None else self._covered(epoch)
        while self._held and self._held[0][0] < limit:
            yield self._held.popleft()[1]
        self.sent = max(self.sent, limit)

    def _covered(self, epoch: int) -> int:
        limit = 0
        while self._marks and (self._marks[0][0] is None or self._marks[0][0] <= epoch):
            limit = self._marks.popleft()[1]
        return limit

    def restart(self, sent: int, rows: int) -> None:
        """Continue after `rows` rows of which `sent` went out; forget what was held."""
        self.sent, self.rows, self.epoch = sent, rows, None
        self._held.clear()
        self._marks.clear()
