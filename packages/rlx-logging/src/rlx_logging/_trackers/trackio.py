"""Trackio."""

from __future__ import annotations

import secrets
from argparse import Namespace
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rlx_logging._files.folder import LogFolder
from rlx_logging._missing import require
from rlx_logging._rows.arguments import flat_arguments
from rlx_logging._rows.rows import Row
from rlx_logging._trackers.backend import FINISH_SECONDS, TrackerBackend, tracker_backend
from rlx_logging._trackers.tracker import Tracker

_PROJECT: Final = "default"


class TrackioTracker(Tracker):
    """One run in Trackio's database of a project, below ``TRACKIO_DIR``.

    Rows are written to the database itself: what `trackio.log` takes is lost with a process that dies in the next
    half second, has no wall time of its own, and cannot be recognized when it is sent again.

    Args:
        project: The project.
        run_name: Name of a new run.
        group: Trackio's group of the run.
    """

    name = "trackio"

    def __init__(self, *, project: str, run_name: str, group: str | None) -> None:
        used_by = "logging to Trackio"
        self._storage: Any = require("trackio.sqlite_storage", extra="trackio", used_by=used_by).SQLiteStorage
        self._project = project
        self._run_name = run_name
        self._run_id = ""
        self._config: dict[str, Any] = {"_Group": group}
        self._config_is_new = True

    def open(self, run_id: str | None) -> str:
        """Open a run again, or a new one; it appears with its first row."""
        self._run_id = run_id or secrets.token_hex(16)
        known = self._storage.get_run_config(self._project, run_id=self._run_id) if run_id else None
        self._config = {"_Created": datetime.now(UTC).isoformat(), **self._config, **(known or {})}
        return self._run_id

    def send(self, rows: Sequence[Row]) -> None:
        """Log rows; Trackio passes over one whose identity it has."""
        self._storage.bulk_log(
            self._project,
            self._run_name,
            [dict(zip(row.layout.tags, (row.step, *row.values), strict=True)) for row in rows],
            steps=[row.step for row in rows],
            timestamps=[datetime.fromtimestamp(row.time, UTC).isoformat() for row in rows],
            log_ids=[f"{self._run_id}-{row.number}" for row in rows],
            config=self._config if self._config_is_new else None,
            run_id=self._run_id,
        )
        self._config_is_new = False

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Put the arguments into the run's config, which goes out with the next rows."""
        self._config |= flat_arguments(hparams)
        self._config_is_new = True

    def abandon(self, run_id: str) -> None:
        """Give a run a name that says what became of it."""
        name = f"{self._run_name} (abandoned {run_id[:6]})"
        self._storage.rename_run(self._project, self._run_name, name, run_id=run_id)


def make_trackio(
    folder: LogFolder,
    *,
    project: str | None = None,
    name: str | None = None,
    group: str | None = None,
    config: Mapping[str, Any] | Namespace | None = None,
    outbox: bool = True,
    finish_seconds: float = FINISH_SECONDS,
) -> TrackerBackend:
    """Return the backend for `make_logger`.

    Args:
        folder: The run folder.
        project: Trackio's project, ``default`` by default.
        name: Name of the run; that of the folder by default.
        group: Trackio's group of the run.
        config: Arguments of the run.
        outbox: Without it rows go out once a second, committed or not.
        finish_seconds: How long `finalize` waits for Trackio.
    """
    tracker = TrackioTracker(project=project or _PROJECT, run_name=name or folder.path.name, group=group)
    return tracker_backend(folder, tracker, config=config, outbox=outbox, finish_seconds=finish_seconds)
