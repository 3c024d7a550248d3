"""W&B's logger with tianshou's arguments."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack, cast

from rlx_logging._errors import DroppedRowsWarning
from rlx_logging._files.folder import LogFolder
from rlx_logging._journal.backend import JournalBackend
from rlx_logging._offers import folder_of
from rlx_logging._options import LoggerOptions
from rlx_logging._run_logger import RunLogger
from rlx_logging._wandb.backend import make_wandb
from rlx_logging._warn import warn


class WandbOptions(LoggerOptions, total=False):
    """The options of `WandbLogger` beside those that say which run it is."""

    group: str | None
    job_type: str | None
    monitor_gym: bool | None
    disable_stats: bool
    mode: str | None
    run: Any
    outbox: bool
    finish_seconds: float


class WandbLogger(RunLogger):
    """Logs to W&B, and to a journal beside it from which everything is restored.

    Args:
        log_dir: Where the journal and W&B's own files are.
        write_flush: Flush a SummaryWriter that `load` gets after every row; nothing else needs it.
        project: W&B's project.
        name: Name of the run.
        entity: W&B's user or team.
        run_id: Identity of the run; the same one continues it.
        config: Arguments of the run: a mapping, or what argparse returns.
        options: Those of `RunLogger`, and

            - group, job_type: W&B's group and type of the run.
            - monitor_gym: Let W&B upload the films of gymnasium's recorder; W&B's own setting by default.
            - disable_stats: Let W&B not watch the machine.
            - mode: ``"online"``, ``"offline"`` or ``"disabled"``; W&B's own setting by default.
            - run: A run that is there already; the arguments of a run are not looked at then.
            - outbox: Send a row only when the snapshot that covers it is committed.
            - finish_seconds: How long `finalize` waits for W&B; one second at most if the server cannot be reached.

    Raises:
        TypeError: If `log_dir` is no path.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = ".",
        *,
        write_flush: bool = True,
        project: str | None = None,
        name: str | None = None,
        entity: str | None = None,
        run_id: str | None = None,
        config: Mapping[str, Any] | Namespace | None = None,
        **options: Unpack[WandbOptions],
    ) -> None:
        if isinstance(log_dir, int):  # tianshou's first argument
            raise TypeError(
                f"log_dir must be a path, not {log_dir!r}; name tianshou's intervals: train_interval={log_dir!r}."
            )
        self.write_flush = write_flush
        folder = LogFolder("." if log_dir is None else log_dir)
        own = cast("dict[str, Any]", options)
        given = {key: own.pop(key) for key in list(own) if key not in LoggerOptions.__optional_keys__}
        self._wandb_backend = make_wandb(
            folder, project=project, name=name, entity=entity, run_id=run_id, config=config, **given
        )
        super().__init__(folder, [JournalBackend(folder), self._wandb_backend], **own)

    @property
    def wandb_run(self) -> Any:
        """The run of W&B, waited for until it is started; None if it cannot be."""
        return self._wandb_backend.run

    def load(self, writer: Any) -> None:
        """Write rows to a SummaryWriter too, as tianshou's class does.

        W&B and the journal get them without one. What is no SummaryWriter costs a warning.
        """
        from rlx_logging._tensorboard.summary_writer import SummaryWriterBackend

        logdir = folder_of(writer)
        if logdir is None:
            warn(
                f"writer must be a SummaryWriter, not {writer!r}; nothing is written to it.",
                DroppedRowsWarning,
            )
            return
        path = Path(logdir).absolute()
        folder = self.folder if path == self.folder.path else LogFolder(path)
        self.add_backend(SummaryWriterBackend(writer, folder, self.write_flush))
