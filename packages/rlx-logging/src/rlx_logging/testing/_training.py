"""A small training run that logs to one backend beside the journal, and may be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from rlx_logging._backend import Backend
from rlx_logging._files.atomic import write_atomically
from rlx_logging._files.folder import LogFolder
from rlx_logging._journal.backend import JournalBackend
from rlx_logging._run_logger import RunLogger

Make: TypeAlias = Callable[[LogFolder], Backend]
SNAPSHOT: Final = "snapshot.json"
KILLED: Final = 9
EVERY: Final = 3  # epochs from one snapshot to the next


class Attempt(NamedTuple):
    """One attempt of a run.

    Attributes:
        epochs: Where it ends.
        offset: What is added to its values.
        kill_after: The epoch after whose rows its process is killed; None for none.
    """

    epochs: int
    offset: float = 0.0
    kill_after: int | None = None


def make_run_logger(make: Make, folder: Path) -> RunLogger:
    """Return a logger with the journal and the backend; a failure of either is raised."""
    log_folder = LogFolder(folder)
    return RunLogger(log_folder, [JournalBackend(log_folder), make(log_folder)], on_failure="raise")


def train(make: Make, folder: Path, attempt: Attempt) -> None:
    """Continue from the last snapshot; every epoch logs three rows."""
    logger = make_run_logger(make, folder)
    saved: dict[str, Any] = {"epoch": 0, "logger": {}}
    if (folder / SNAPSHOT).exists():
        saved = json.loads((folder / SNAPSHOT).read_bytes())
    logger.load_state_dict(saved["logger"])
    for epoch in range(saved["epoch"], attempt.epochs):
        for step in (2 * epoch, 2 * epoch + 1):
            logger.write("update/gradient_step", step, {"loss": step / 4 + attempt.offset})
        logger.write("info/epoch", epoch, {"r": epoch / 2 + attempt.offset, "n": epoch})
        if epoch % EVERY == EVERY - 1:
            saved = {"epoch": epoch + 1, "logger": logger.state_dict()}
            write_atomically(folder / SNAPSHOT, json.dumps(saved).encode())
            logger.committed(epoch)
        if epoch == attempt.kill_after:
            _die()
    logger.finalize()


def _die() -> None:
    if os.name == "posix":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(KILLED)


def train_and_be_killed(make: Make, folder: Path, attempt: Attempt) -> bool:
    """Train in a process of its own; return whether it was killed, rather than failed by itself."""
    process = multiprocessing.get_context("spawn").Process(target=train, args=(make, folder, attempt))
    process.start()
    process.join()
    return process.exitcode in (KILLED, -KILLED)
