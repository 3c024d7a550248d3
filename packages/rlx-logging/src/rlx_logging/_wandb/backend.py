"""Weights & Biases, without TensorBoard files in between."""

from __future__ import annotations

import html
import io
import secrets
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._journal.format import FILE_NAME
from rlx_logging._missing import require
from rlx_logging._rows.arrays import Histogram
from rlx_logging._rows.media import Image, Media, Text, Video
from rlx_logging._rows.pictures import gif
from rlx_logging._rows.rows import Row
from rlx_logging._wandb.keys import without_keys
from rlx_logging._wandb.outbox import Outbox
from rlx_logging._wandb.sender import Job, Sender

FINISH_SECONDS: Final = 30.0
_WITHOUT_SERVER: Final = frozenset({"offline", "dryrun", "disabled"})


class WandbBackend(Backend):
    """Logs rows to one run; every scope stands on its own step.

    Each tag is drawn over the step of its scope (``train/loss`` over ``train/env_step``).
    W&B's own step is the number of the row in the whole run: it never goes backwards,
    and where a resumed run logs a row again, W&B already has one of that number and
    drops it. Nothing here waits for W&B but `close` and `run`.

    Args:
        folder: Where the files of W&B go.
        settings: Arguments of ``wandb.init``.
        run: A run that is there already, instead; it is not finished here.
        outbox: Send a row only when the snapshot that covers it is committed.
        finish_seconds: How long `close` and `run` wait for W&B; `close` waits one second at most
            for a server that cannot be reached.
        disable_stats: Let W&B not watch the machine.
    """

    name = "wandb"

    def __init__(
        self,
        folder: LogFolder,
        settings: Mapping[str, Any] | None = None,
        *,
        run: Any = None,
        outbox: bool = False,
        finish_seconds: float = FINISH_SECONDS,
        disable_stats: bool = False,
    ) -> None:
        self._wandb = require("wandb", extra="wandb", used_by="WandbLogger")
        self._folder = folder
        self._settings: dict[str, Any] = {"id": secrets.token_hex(4), "resume": "allow", **(settings or {})}
        self._given = run
        self._outbox = Outbox(hold=outbox)
        self._finish_seconds = finish_seconds
        self._disable_stats = disable_stats
        self._sender: Sender | None = None
        self._scopes: set[str] = set()
        self._next: int | None = None  # the number of the next row, where the server says it

    @property
    def run(self) -> Any:
        """The run of W&B, waited for until it is started; None if it cannot be."""
        return self._sending().run(self._finish_seconds)

    def _sending(self) -> Sender:
        if self._sender is None:
            self._sender = Sender(
                self._start, finish=self._given is None, server=self._server, masked=self._masked
            )
        return self._sender

    def _server(self) -> str | None:
        """Return the address of W&B's server; None where no server is asked."""
        settings = self._wandb.setup().settings
        mode = self._settings.get("mode") or settings.mode
        if self._given is not None or mode in _WITHOUT_SERVER:
            return None
        address: str = settings.base_url
        return address

    def _masked(self, text: str) -> str:
        return without_keys(text, self._wandb)

    def _start(self) -> Any:
        if self._given is not None:
            return self._given
        self._folder.path.mkdir(parents=True, exist_ok=True)
        limits = self._wandb.Settings(
            init_timeout=self._finish_seconds,
            finish_timeout=self._finish_seconds,
            finish_timeout_raises=True,  # so that whoever waits is told
            x_disable_stats=self._disable_stats,
        )
        run = self._wandb.init(dir=str(self._folder.path), settings=limits, **self._settings)
        self._next = None if self._server() is None else run.starting_step
        return run

    def write(self, row: Row) -> None:
        """Send one row, or keep it until its snapshot is committed."""
        number = self._outbox.next_number()
        if row.layout.scope == "info":
            self._outbox.epoch = row.step
        self._send(number, self._row_job(number, row))

    def _row_job(self, number: int, row: Row) -> Job:
        return lambda run: self._log_row(run, number, row)

    def _send(self, number: int, job: Job) -> None:
        for ready in self._outbox.put(number, job):
            self._sending().put(ready)

    def _log_row(self, run: Any, number: int, row: Row) -> None:
        scope, step = row.layout.scope, row.layout.tags[0]
        if scope not in self._scopes:
            self._scopes.add(scope)
            run.define_metric(step)
            run.define_metric(f"{scope}/*", step_metric=step)
        values: dict[str, Any] = dict(zip(row.layout.tags, (row.step, *row.values), strict=True))
        for tag, array in row.arrays.items():
            shown = Histogram.of(array)
            values[tag] = self._wandb.Histogram(np_histogram=(shown.counts.tolist(), shown.edges.tolist()))
        run.log({**values, "_timestamp": row.time}, step=number)
        if self._next is not None:
            self._next = number + 1

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Log a picture, film or text, together with the next row."""
        number = self._outbox.rows
        self._send(number, lambda run: run.log({tag: self._shown(media)}, step=number, commit=False))

    def _shown(self, media: Media) -> Any:
        match media:
            case Image(pixels):
                return self._wandb.Image(pixels)
            case Video():  # encoded here: W&B needs two further libraries for frames
                return self._wandb.Video(io.BytesIO(gif(media, extra="wandb")), format="gif")
            case Text(text):
                return self._wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Put the arguments into the run's config."""
        arguments = dict(hparams)
        self._sending().put(lambda run: run.config.update(arguments, allow_val_change=True))

    def log_checkpoint(self, path: str, counts: Mapping[str, int]) -> None:
        """Store a checkpoint as a model artifact."""
        if Path(path).is_file():
            self._sending().put(lambda run: self._log_artifact(run, path, dict(counts)))

    def _log_artifact(self, run: Any, path: str, counts: dict[str, int]) -> None:
        artifact = self._wandb.Artifact(f"run_{run.id}_checkpoint", type="model", metadata=counts)
        artifact.add_file(path)
        run.log_artifact(artifact)

    def committed(self, epoch: int) -> None:
        """Send the rows that the snapshot of `epoch` covers."""
        for job in self._outbox.release(epoch):
            self._sending().put(job)

    def state_dict(self) -> dict[str, Any]:
        """Return the identity of the run, how many rows there are, and how many of them were sent."""
        self._outbox.mark()
        return {"run_id": self._settings["id"], "rows": self._outbox.rows, "sent": self._outbox.sent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the same run after the rows of `state`; send again what did not arrive.

        The server says which rows it has, as W&B's service may have been killed with rows
        that were given to it. An offline run gets those that were not given to W&B.
        """
        if not state:
            self._outbox.restart(0, 0)
            return
        if state["run_id"] != self._settings["id"]:
            self.close()
            self._settings["id"] = state["run_id"]
        self._outbox.restart(state["sent"], state["rows"])
        if state["rows"] > 0:
            journal = self._folder.path / FILE_NAME
            length = journal.stat().st_size if journal.is_file() else 0
            self._sending().put(lambda run: self._send_again(run, state["sent"], state["rows"], length))
            self._outbox.sent = state["rows"]

    def _send_again(self, run: Any, sent: int, end: int, length: int) -> None:
        """Log the rows up to number `end` that W&B lacks, from the first `length` bytes of the journal."""
        from rlx_logging._journal.reader import last_rows

        missing = end - (sent if self._next is None else self._next)
        rows = last_rows(self._folder.path, missing, length=length) if missing > 0 else []
        for number, row in enumerate(rows, start=end - len(rows)):
            self._log_row(run, number, row)

    def discard(self) -> None:
        """Forget what was not sent; the run stays open, it has no file of ours."""
        self._outbox.restart(self._outbox.sent, self._outbox.sent)

    def close(self) -> None:
        """Send what is left and finish the run; an unreachable server is not waited for without end."""
        held = list(self._outbox.release(None))
        self._scopes.clear()
        sender, self._sender = self._sending() if held else self._sender, None
        if sender is not None:
            sender.close(self._finish_seconds, held)


def make_wandb(
    folder: LogFolder,
    *,
    project: str | None = None,
    name: str | None = None,
    entity: str | None = None,
    run_id: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    config: Mapping[str, Any] | Namespace | None = None,
    monitor_gym: bool | None = None,
    disable_stats: bool = False,
    mode: str | None = None,
    run: Any = None,
    outbox: bool = False,
    finish_seconds: float = FINISH_SECONDS,
) -> WandbBackend:
    """Return the backend for `make_logger`; the arguments are those of :class:`WandbLogger`."""
    given = {
        "project": project,
        "name": name,
        "entity": entity,
        "id": run_id,
        "group": group,
        "job_type": job_type,
        "config": vars(config) if isinstance(config, Namespace) else config,
        "monitor_gym": monitor_gym,
        "mode": mode,
    }
    settings = {key: value for key, value in given.items() if value is not None}
    return WandbBackend(
        folder,
        settings,
        run=run,
        outbox=outbox,
        finish_seconds=finish_seconds,
        disable_stats=disable_stats,
    )
