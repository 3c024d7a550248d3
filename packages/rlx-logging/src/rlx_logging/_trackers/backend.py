"""A tracker of experiments as a backend: it gets the rows of the journal when their snapshot is committed."""

from __future__ import annotations

from argparse import Namespace
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._rows.arguments import plain_arguments
from rlx_logging._rows.rows import Row
from rlx_logging._sending.sender import Sender
from rlx_logging._trackers.delivery import Delivery
from rlx_logging._trackers.tracker import Outcome, Tracker

FINISH_SECONDS: Final = 60.0  # MLflow makes a new database in five to thirty
_LIVE_SECONDS: Final = 1.0


class TrackerBackend(Backend):
    """Sends the rows of the journal to a tracker that cannot take rows back.

    A row goes out when the snapshot that covers it is committed, when a trainer's `save_data` is called, and at
    the end of an attempt that did not fail. What a kill takes from the tracker on its way is sent by the next
    attempt. A run that is resumed from a snapshot older than what is in the tracker gets another run there, with
    all of its rows. Nothing here waits for the tracker but `close`.

    Args:
        folder: The run folder, with the journal.
        tracker: The tracker.
        outbox: Without it rows go out once a second, committed or not.
        finish_seconds: How long `close` waits for the tracker.
    """

    may_lack_rows = False

    def __init__(
        self,
        folder: LogFolder,
        tracker: Tracker,
        *,
        outbox: bool = True,
        finish_seconds: float = FINISH_SECONDS,
    ) -> None:
        self.name = tracker.name
        self._folder = folder
        self._tracker = tracker
        self._hold = outbox
        self._finish_seconds = finish_seconds
        self._sender: Sender | None = None
        self._arguments: dict[str, Any] = {}
        self._outcome = Outcome.FINISHED
        self._rows = 0
        self._asked_at = 0.0
        self._epoch: int | None = None
        self._may_be_resumed = False
        self._marks: deque[tuple[int | None, int]] = deque()

    def write(self, row: Row) -> None:
        """Note that there is one more row."""
        if self._sender is None:
            self._start(row.number)
        self._rows = row.number + 1
        if row.layout.scope == "info":
            self._epoch = row.step
        if not self._hold and row.time - self._asked_at >= _LIVE_SECONDS:
            self._asked_at = row.time
            self._deliver(row.number)  # this one is in the journal only if that comes before this backend

    def _start(self, rows: int) -> Sender:
        """Open the run, in which the first `rows` rows of the journal are to be."""
        self._rows = rows
        self._sender = Sender(
            lambda: Delivery(self._folder.path, self._tracker, rows),
            name=self.name,
            kept="the next attempt sends what is missing, from the journal",
            finish=lambda delivery: delivery.close(self._outcome),
        )
        if self._arguments:
            self.log_hparams({})
        return self._sender

    def _deliver(self, end: int) -> None:
        sender = self._sender or self._start(end)
        sender.put(lambda delivery: delivery.deliver(end))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run, when that is opened by its first row or the end."""
        arguments = {**self._arguments, **hparams}
        if self._sender is None:  # before a resume it is not known which run
            self._arguments = arguments
        else:
            self._arguments = {}
            self._sender.put(lambda _: self._tracker.log_hparams(arguments))

    def committed(self, epoch: int) -> None:
        """Send the rows that the snapshot of `epoch` covers."""
        end = 0
        while self._marks and (self._marks[0][0] is None or self._marks[0][0] <= epoch):
            end = self._marks.popleft()[1]
        if end:
            self._deliver(end)

    def state_dict(self) -> dict[str, Any]:
        """Note that a snapshot is taken; what is restored is in the journal and in a file beside it."""
        self._may_be_resumed = True
        self._marks.append((self._epoch, self._rows))
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the run after the rows that the journal has."""
        del state
        self.restore({})

    def record(self) -> dict[str, Any]:
        """Send every row: a trainer that resumes by `restore_data` takes none back."""
        if self._rows:
            self._deliver(self._rows)
        return {}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Continue the run after the rows that the journal has."""
        del record
        if rows := self._count():
            self._start(rows)
            self._deliver(rows)

    def _count(self) -> int:
        from rlx_logging._journal.reader import count_rows

        return count_rows(self._folder.path, 0)

    def discard(self) -> None:
        """Let what is committed go out; the rest is taken back."""
        self._outcome = Outcome.KILLED
        self.close()

    def finish(self, *, failed: bool) -> None:
        """Send what is left and close; after a failure only what is committed, as a resume logs the rest again."""
        self._outcome = Outcome.FAILED if failed else Outcome.FINISHED
        if self._arguments:
            self._start(self._count())
        if self._rows and not (failed and self._hold and self._may_be_resumed):
            self._deliver(self._rows)
        self.close()

    def close(self) -> None:
        """Wait for the tracker, within limits."""
        self._marks.clear()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close(self._finish_seconds)


def tracker_backend(
    folder: LogFolder,
    tracker: Tracker,
    *,
    config: Mapping[str, Any] | Namespace | None,
    outbox: bool,
    finish_seconds: float,
) -> TrackerBackend:
    """Return the backend of a tracker, which is given the arguments of the run if there are any."""
    backend = TrackerBackend(folder, tracker, outbox=outbox, finish_seconds=finish_seconds)
    if config is not None:
        backend.log_hparams(plain_arguments(vars(config) if isinstance(config, Namespace) else config))
    return backend
