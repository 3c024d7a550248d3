"""The folders that the attempts of an offline run left behind, for `wandb sync` to read one after the other."""

from __future__ import annotations

import glob
import time
from pathlib import Path
from typing import Final

from rlx_logging._files.atomic import write_atomically
from rlx_logging._wandb.transaction_log import HEADER, TransactionLog, has_ended

_SYNCED: Final = (
    ".synced",
    ".syncstate",
)  # what `wandb sync` leaves beside a file it has read; before W&B 0.31 every run had the second


class OfflineRun:
    """What is on disk of one run.

    Args:
        folder: Where W&B was told to put its files.
        run_id: Identity of the run.
    """

    def __init__(self, folder: Path, run_id: str) -> None:
        self._folders = [folder / "wandb", folder / ".wandb"]
        self._run_id = run_id

    def files(self) -> list[Path]:
        """Return the files of the run in the order they were begun."""
        name = glob.escape(self._run_id)
        found = (
            path for folder in self._folders for path in folder.glob(f"offline-run-*-{name}/run-{name}.wandb")
        )
        return sorted(found, key=lambda path: path.parent.name)

    def settle(self, end: int | None = None) -> int:
        """Take torn records and the rows from W&B's step `end` on out of every file; return the next step.

        A file is replaced by a new one: a service of W&B that outlives its process writes
        into the old. What `wandb sync` has read stays as it is.
        """
        step = 0
        for path in self.files():
            data = path.read_bytes()
            synced = any(path.with_name(path.name + suffix).exists() for suffix in _SYNCED)
            log = TransactionLog(data, None if synced else end)
            if not (synced or log.finished) and len(data) >= HEADER:
                write_atomically(path, data[: log.cut])
            step = max(step, log.next_step)
        return step

    def wait_for_end(self, seconds: float) -> None:
        """Wait until the newest file is whole: W&B writes the end of it after `finish` has returned.

        Raises:
            TimeoutError: If it is not after `seconds`.
        """
        end = time.monotonic() + seconds
        while (files := self.files()) and not has_ended(files[-1]):
            if time.monotonic() > end:
                raise TimeoutError(f"{files[-1]} does not end with the end of the run after {seconds:.0f} s")
            time.sleep(0.005)

    def wait_for_new_name(self) -> None:
        """Wait until the second of the newest folder is over: W&B names them by it."""
        newest = max((path.parent.name for path in self.files()), default="")
        while newest.startswith(f"offline-run-{time.strftime('%Y%m%d_%H%M%S')}"):
            time.sleep(0.05)
