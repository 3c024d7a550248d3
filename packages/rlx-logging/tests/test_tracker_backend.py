"""What a tracker gets of the journal, whatever the tracker does; with one that lives in memory."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rlx_logging import DroppedRowsWarning, LogFolder, Row, RunLogger, read_metrics
from rlx_logging._journal.backend import JournalBackend
from rlx_logging._sending.position import Position
from rlx_logging._trackers import delivery
from rlx_logging._trackers.backend import TrackerBackend
from rlx_logging._trackers.tracker import Outcome, Tracker


class MemoryTracker(Tracker):
    """Keeps rows by their numbers, in runs that are numbered."""

    name: ClassVar[str] = "memory"

    def __init__(self) -> None:
        self.runs: dict[str, dict[int, int]] = {}
        self.ended: list[Outcome] = []
        self.abandoned: list[str] = []
        self.arguments: dict[str, Any] = {}
        self.run = ""

    def open(self, run_id: str | None) -> str:
        """Open a run."""
        self.run = run_id or str(len(self.runs))
        self.runs.setdefault(self.run, {})
        return self.run

    def send(self, rows: Sequence[Row]) -> None:
        """Keep rows."""
        self.runs[self.run] |= {row.number: row.step for row in rows}

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Keep arguments."""
        self.arguments |= hparams

    def close(self, outcome: Outcome) -> None:
        """Keep the outcome."""
        self.ended.append(outcome)

    def abandon(self, run_id: str) -> None:
        """Keep the identity."""
        self.abandoned.append(run_id)


def make(folder: Path, tracker: Tracker, **options: Any) -> RunLogger:
    """Return a logger with the journal and the tracker."""
    log_folder = LogFolder(folder)
    return RunLogger(log_folder, [JournalBackend(log_folder), TrackerBackend(log_folder, tracker, **options)])


def test_a_run_that_is_continued_from_an_older_snapshot_is_another_one(tmp_path: Path) -> None:
    """The first one is abandoned, and the second has all rows."""
    tracker = MemoryTracker()
    logger = make(tmp_path, tracker)
    state: dict[str, Any] = {}
    for epoch in range(4):
        logger.write("info/epoch", epoch, {"r": 1.0})
        state = logger.state_dict() if epoch == 1 else state
    logger.finalize()
    again = make(tmp_path, tracker)
    again.load_state_dict(state)
    again.write("info/epoch", 2, {"r": 2.0})
    again.finalize()
    assert tracker.runs == {"0": {0: 0, 1: 1, 2: 2, 3: 3}, "1": {0: 0, 1: 1, 2: 2}}
    assert tracker.abandoned == ["0"]
    assert tracker.ended == [Outcome.FINISHED, Outcome.FINISHED]


def test_arguments_wait_until_it_is_known_which_run_they_are_of(tmp_path: Path) -> None:
    """They are given before a resume, and do not begin a run."""
    tracker = MemoryTracker()
    logger = make(tmp_path, tracker)
    logger.log_hparams({"lr": 0.1})
    logger.load_state_dict({})
    assert tracker.runs == {}
    logger.write("info/epoch", 0, {"r": 1.0})
    logger.log_hparams({"seed": 1})
    logger.finalize()
    assert tracker.arguments == {"lr": 0.1, "seed": 1}
    assert list(tracker.runs) == ["0"]


class Hanging(MemoryTracker):
    """Takes a row when it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def send(self, rows: Sequence[Row]) -> None:
        """Wait."""
        self.go.wait()
        super().send(rows)


def test_a_tracker_that_hangs_costs_one_warning_and_its_stated_wait(tmp_path: Path) -> None:
    """No row waits for it, the journal has all, and the next attempt sends them."""
    tracker = Hanging()
    logger = make(tmp_path, tracker, finish_seconds=0.1)
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"r": 1.0})
        logger.state_dict()
        logger.committed(epoch)
    with pytest.warns(
        DroppedRowsWarning, match="memory did not finish within 0 s; the next attempt"
    ) as caught:
        logger.finalize()
    assert len(caught) == 1
    assert len(read_metrics(tmp_path)["info/r"]) == 3
    another = MemoryTracker()
    again = make(tmp_path, another)
    again.restore_data()
    again.finalize()
    assert list(another.runs["0"]) == [0, 1, 2]
    tracker.go.set()


class Failing(MemoryTracker):
    """Fails at the second call of `send`."""

    calls = 0

    def send(self, rows: Sequence[Row]) -> None:
        """Keep rows, but for once."""
        self.calls += 1
        if self.calls == 2:
            raise ConnectionError("reset")
        super().send(rows)


def commit_five_epochs(logger: RunLogger) -> None:
    """Log, commit and finalize."""
    for epoch in range(5):
        logger.write("info/epoch", epoch, {"r": 1.0})
        logger.state_dict()
        logger.committed(epoch)
    logger.finalize()


def test_what_a_failure_kept_back_is_sent_at_the_end(tmp_path: Path) -> None:
    """In the meantime it is not tried with every row; the failure costs one warning."""
    tracker = Failing()
    logger = make(tmp_path, tracker)
    with pytest.warns(DroppedRowsWarning, match="memory: could not .*ConnectionError: reset") as caught:
        commit_five_epochs(logger)
    assert len([one for one in caught if "calls were dropped" not in str(one.message)]) == 1
    assert list(tracker.runs["0"]) == [0, 1, 2, 3, 4]
    assert tracker.calls <= 4


def test_rows_are_sent_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them once, in order."""
    monkeypatch.setattr(delivery, "_ROWS_AT_ONCE", 3)
    tracker = MemoryTracker()
    logger = make(tmp_path, tracker)
    for epoch in range(10):
        logger.write("info/epoch", epoch, {"r": 1.0})
    logger.finalize()
    assert list(tracker.runs["0"].values()) == list(range(10))
    assert Position.read(tmp_path / "logs.memory.json") == Position("0", 10, 10)


def test_a_logger_without_a_journal_is_told_so(tmp_path: Path) -> None:
    """There is nothing to send from."""
    folder = LogFolder(tmp_path)
    logger = RunLogger(folder, [TrackerBackend(folder, MemoryTracker())])
    logger.write("info/epoch", 0, {"r": 1.0})
    with pytest.warns(DroppedRowsWarning, match=r"memory sends the rows of the journal, and there is none"):
        logger.finalize()
