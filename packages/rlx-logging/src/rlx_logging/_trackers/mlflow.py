"""MLflow."""

from __future__ import annotations

import hashlib
import posixpath
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rlx_logging._files.folder import LogFolder
from rlx_logging._missing import require
from rlx_logging._rows.arguments import flat_arguments
from rlx_logging._rows.rows import Row
from rlx_logging._trackers.backend import FINISH_SECONDS, TrackerBackend, tracker_backend
from rlx_logging._trackers.tracker import Outcome, Tracker

_METRICS_AT_ONCE: Final = 1000  # MLflow takes no more
_PARAMS_AT_ONCE: Final = 100
_LONGEST_NAME: Final = 250
_LONGEST_PARAM: Final = 6000
_FORBIDDEN: Final = re.compile(r"[^\w\-. :/]")
_KILLED: Final = "KILLED"


class MlflowTracker(Tracker):
    """One run of MLflow, on its tracking server or in its SQLite file.

    Args:
        tracking_uri: Where; by default what MLflow is set to, which without a setting is ``mlflow.db`` here.
        experiment: Name of the experiment; MLflow's default one by default.
        run_name: Name of a new run.
    """

    name = "mlflow"

    def __init__(self, *, tracking_uri: str | None, experiment: str | None, run_name: str) -> None:
        self._mlflow: Any = require("mlflow", extra="mlflow", used_by="logging to MLflow")
        self._uri = tracking_uri
        self._experiment = experiment
        self._run_name = run_name
        self._client: Any = None
        self._run_id = ""

    def open(self, run_id: str | None) -> str:
        """Open a run again, or a new one; a run that was still running has been killed."""
        self._client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        if run_id is None:
            run_id = self._client.create_run(self._experiment_id(), run_name=self._run_name).info.run_id
        else:
            self._record_attempt(run_id)
            self._client.update_run(run_id, status="RUNNING")
        self._run_id = str(run_id)
        return self._run_id

    def _record_attempt(self, run_id: str) -> None:
        """Keep in a tag how the attempt before this one ended."""
        run = self._client.get_run(run_id)
        ended = _KILLED if run.info.status == "RUNNING" else run.info.status
        number = 1 + sum(tag.startswith("rlx.attempt.") for tag in run.data.tags)
        self._client.set_tag(run_id, f"rlx.attempt.{number}", ended)

    def _experiment_id(self) -> str:
        if self._experiment is None:
            return "0"
        found = self._client.get_experiment_by_name(self._experiment)
        return str(self._client.create_experiment(self._experiment) if found is None else found.experiment_id)

    def send(self, rows: Sequence[Row]) -> None:
        """Log rows; MLflow passes over a metric that it has with the same step, time and value."""
        metric = self._mlflow.entities.Metric
        metrics = [
            metric(name_in_mlflow(tag), float(value), round(row.time * 1000), row.step)
            for row in rows
            for tag, value in zip(row.layout.tags, (row.step, *row.values), strict=True)
        ]
        for start in range(0, len(metrics), _METRICS_AT_ONCE):
            self._client.log_batch(self._run_id, metrics=metrics[start : start + _METRICS_AT_ONCE])

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log parameters. MLflow changes none: another value is in the tag ``rlx.changed.<name>``."""
        entities, known = self._mlflow.entities, self._client.get_run(self._run_id).data.params
        arguments = {
            name_in_mlflow(key): str(value)[:_LONGEST_PARAM] for key, value in flat_arguments(hparams).items()
        }
        new = [entities.Param(key, value) for key, value in arguments.items() if key not in known]
        changed = {key: value for key, value in arguments.items() if known.get(key, value) != value}
        for start in range(0, len(new), _PARAMS_AT_ONCE):
            self._client.log_batch(self._run_id, params=new[start : start + _PARAMS_AT_ONCE])
        tags = [entities.RunTag(f"rlx.changed.{key}", value) for key, value in changed.items()]
        self._client.log_batch(self._run_id, tags=tags)

    def close(self, outcome: Outcome) -> None:
        """Let MLflow show how the attempt ended."""
        self._client.set_terminated(self._run_id, outcome.name)

    def abandon(self, run_id: str) -> None:
        """Mark a run as killed, and say why."""
        client = self._mlflow.MlflowClient(tracking_uri=self._uri)
        client.set_tag(run_id, "rlx.abandoned", "continued from an older snapshot in another run")
        client.set_terminated(run_id, _KILLED)


def name_in_mlflow(tag: str) -> str:
    """Return a name that MLflow takes; one that had to be changed ends with a digest of the whole."""
    name = _FORBIDDEN.sub("_", tag)
    name = posixpath.normpath(name).lstrip("/.") if name.strip(".") else "_"
    if name == tag and len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(tag.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{name[: _LONGEST_NAME - 9]}-{digest}"


def make_mlflow(
    folder: LogFolder,
    *,
    project: str | None = None,
    name: str | None = None,
    config: Mapping[str, Any] | Namespace | None = None,
    tracking_uri: str | None = None,
    outbox: bool = True,
    finish_seconds: float = FINISH_SECONDS,
) -> TrackerBackend:
    """Return the backend for `make_logger`.

    Args:
        folder: The run folder.
        project: MLflow's experiment; its default one by default.
        name: Name of the run; that of the folder by default.
        config: Arguments of the run.
        tracking_uri: A server or ``sqlite:///FILE``; by default what MLflow is set to (``MLFLOW_TRACKING_URI``),
            which without a setting is the file ``mlflow.db`` in the working directory.
        outbox: Without it rows go out once a second, committed or not.
        finish_seconds: How long `finalize` waits for MLflow.
    """
    tracker = MlflowTracker(tracking_uri=tracking_uri, experiment=project, run_name=name or folder.path.name)
    return tracker_backend(folder, tracker, config=config, outbox=outbox, finish_seconds=finish_seconds)
