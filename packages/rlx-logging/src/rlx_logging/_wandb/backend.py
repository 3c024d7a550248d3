"""Weights & Biases, without TensorBoard files in between."""

from __future__ import annotations

import html
import io
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._journal.format import FILE_NAME
from rlx_logging._rows.arrays import Histogram
from rlx_logging._rows.media import Image, Media, Text, Video
from rlx_logging._rows.pictures import gif
from rlx_logging._rows.rows import Row
from rlx_logging._sending.sender import Job, Sender
from rlx_logging._wandb.connection import Connection
from rlx_logging._wandb.outbox import Outbox

FINISH_SECONDS: Final = 30.0


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
        self._folder = folder
        self._connection = Connection(
            folder.path, settings or {}, run=run, finish_seconds=finish_seconds, disable_stats=disable_stats
        )
        self._outbox = Outbox(hold=outbox)
        self._finish_seconds = finish_seconds
        self._sender: Sender | None = None
        self._scopes: set[str] = set()
        self._failed = False

    @property
    def run(self) -> Any:
        """The run of W&B, waited for until it is started; None if it cannot be."""
        return self._sending().run(self._finish_seconds)

    def _sending(self) -> Sender:
        if self._sender is None:
            connection = self._connection
            self._sender = Sender(
                connection.start,
                name="W&B",
                kept="what it has is in its own folder (wandb sync)",
                finish=lambda run: connection.finish(run, failed=self._failed),
                server=connection.server,
                masked=connection.masked,
            )
        return self._sender

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
            run.define_metric(f"{scope}/*", step_metric=step, step_sync=False)
        values: dict[str, Any] = dict(zip(row.layout.tags, (row.step, *row.values), strict=True))
        for tag, array in row.arrays.items():
            shown = Histogram.of(array)
            values[tag] = self._connection.wandb.Histogram(
                np_histogram=(shown.counts.tolist(), shown.edges.tolist())
            )
        self._connection.log(run, number, {**values, "_timestamp": row.time})

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Log a picture, film or text, together with the next row."""
        number = self._outbox.rows
        shown = self._shown(media)
        self._send(number, lambda run: self._connection.log(run, number, {tag: shown}, commit=False))

    def _shown(self, media: Media) -> Any:
        match media:
            case Image(pixels):
                return self._connection.wandb.Image(pixels)
            case Video():  # encoded here: W&B needs two further libraries for frames
                return self._connection.wandb.Video(io.BytesIO(gif(media, extra="wandb")), format="gif")
            case Text(text):
                return self._connection.wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Put the arguments into the run's config."""
        arguments = dict(hparams)
        self._sending().put(lambda run: run.config.update(arguments, allow_val_change=True))

    def log_checkpoint(self, path: str, counts: Mapping[str, int]) -> None:
        """Store a checkpoint as a model artifact."""
        if Path(path).is_file():
            self._sending().put(lambda run: self._log_artifact(run, path, dict(counts)))

    def _log_artifact(self, run: Any, path: str, counts: dict[str, int]) -> None:
        artifact = self._connection.wandb.Artifact(f"run_{run.id}_checkpoint", type="model", metadata=counts)
        artifact.add_file(path)
        run.log_artifact(artifact)

    def committed(self, epoch: int) -> None:
        """Send the rows that the snapshot of `epoch` covers."""
        before = self._outbox.sent
        for job in self._outbox.release(epoch):
            self._sending().put(job)
        if (sent := self._outbox.sent) > before:
            self._sending().put(lambda run: self._connection.note_sent(run, sent))

    def state_dict(self) -> dict[str, Any]:
        """Return the identity of the run, how many rows there are, and how many of them were sent."""
        self._outbox.mark()
        return self._position()

    def _position(self) -> dict[str, Any]:
        return {"run_id": self._connection.run_id, "rows": self._outbox.rows, "sent": self._outbox.sent}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue the same run after the rows of `state`; send again what W&B lacks.

        The server says which rows it has, or the files of an offline run do: W&B's service
        may have been killed with rows that were given to it. Rows that an offline run has
        beyond `state` are taken out of its files.
        """
        if state:
            self._resume(state["run_id"], state["rows"], state["sent"])
        elif not self._journal_length() and (found := self._connection.recorded()) is not None:
            self._resume(found.run_id, 0, 0)  # nothing was committed: the same run begins again
        else:
            self._outbox.restart(0, 0)

    def record(self) -> dict[str, Any]:
        """Return the identity of the run, and where rows and journal stand."""
        return {**self._position(), "journal": self._journal_length()}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Continue the same run after every row of the journal, those after `record` included."""
        from rlx_logging._journal.reader import count_rows

        found = self._connection.recorded()
        run_id = record.get("run_id") or (found and found.run_id)
        if run_id is not None and self._connection.may_be(run_id):
            later = count_rows(self._folder.path, record.get("journal", 0))
            self._resume(run_id, record.get("rows", 0) + later, record.get("sent", 0) + later)

    def _resume(self, run_id: str, rows: int, sent: int) -> None:
        ahead = self._connection.offline and self._outbox.sent > rows
        if self._sender is not None and (ahead or run_id != self._connection.run_id):
            self.close()  # its file has rows to be taken out, or it is another run
        self._connection.resume(run_id, rows, sent)
        self._outbox.restart(sent, rows)
        if rows > 0:
            length = self._journal_length()
            self._sending().put(lambda run: self._send_again(run, sent, rows, length))
            self._outbox.sent = rows

    def _journal_length(self) -> int:
        journal = self._folder.path / FILE_NAME
        return journal.stat().st_size if journal.is_file() else 0

    def _send_again(self, run: Any, sent: int, end: int, length: int) -> None:
        """Log the rows up to number `end` that W&B lacks, from the first `length` bytes of the journal."""
        from rlx_logging._journal.reader import last_rows

        first = self._connection.next_row
        missing = end - (max(sent, self._connection.sent_to(run)) if first is None else first)
        rows = last_rows(self._folder.path, missing, length=length) if missing > 0 else []
        for number, row in enumerate(rows, start=end - len(rows)):
            self._log_row(run, number, row)

    def discard(self) -> None:
        """Forget what was not sent; the run stays open, it has no file of ours."""
        self._outbox.restart(self._outbox.sent, self._outbox.sent)

    def finish(self, *, failed: bool) -> None:
        """Close, and let W&B show how the run has ended; after a failure the outbox keeps what a resume logs again."""
        self._failed = failed
        if failed and self._outbox.may_be_resumed:
            self.discard()
        self.close()

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
    """Return the backend for `make_logger`; the arguments are those of `WandbLogger`."""
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
