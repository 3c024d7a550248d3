"""Weights & Biases, without TensorBoard files in between."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from rlx_logging._backend import Backend
from rlx_logging._folder import LogFolder
from rlx_logging._journal import JournalBackend
from rlx_logging._missing import require
from rlx_logging._numbers import plain
from rlx_logging._options import LoggerOptions
from rlx_logging._rows import Row
from rlx_logging._run_logger import RunLogger

if TYPE_CHECKING:
    from numpy.typing import NDArray

FINISH_SECONDS: Final = 30.0


class WandbBackend(Backend):
    """Logs rows to one run; every scope stands on its own step.

    No step of W&B's own is passed: W&B drops rows whose step goes backwards. Each tag
    is drawn over the step of its scope instead (``train/loss`` over ``train/env_step``).

    Args:
        folder: Where the files of W&B go.
        settings: Arguments of ``wandb.init``, or nothing for its defaults.
        run: A run that is there already, instead.
    """

    name = "wandb"

    def __init__(self, folder: LogFolder, settings: Mapping[str, Any] | None = None, run: Any = None) -> None:
        self._wandb = require("wandb", extra="wandb", used_by="WandbLogger")
        self._folder = folder
        self._settings = dict(settings or {})
        self._run = run
        self._ours = run is None
        self._scopes: set[str] = set()

    @property
    def run(self) -> Any:
        """The run of W&B, started when it is first needed."""
        if self._run is None:
            self._folder.path.mkdir(parents=True, exist_ok=True)
            self._run = self._wandb.init(dir=str(self._folder.path), **self._settings)
        return self._run

    def write(self, row: Row) -> None:
        """Log one row."""
        run = self.run
        scope = row.layout.scope
        if scope not in self._scopes:
            self._scopes.add(scope)
            step = row.layout.tags[0]
            run.define_metric(step)
            run.define_metric(f"{scope}/*", step_metric=step)
        values: dict[str, Any] = dict(zip(row.layout.tags, map(plain, (row.step, *row.values)), strict=True))
        values.update((tag, self._wandb.Histogram(array)) for tag, array in row.arrays.items())
        run.log(values)

    def write_image(self, tag: str, step: int, time: float, image: NDArray[Any]) -> None:
        """Log a picture."""
        self.run.log({tag: self._wandb.Image(image)})

    def write_video(self, tag: str, step: int, time: float, frames: NDArray[Any], fps: float) -> None:
        """Log a film; W&B wants its channels before height and width."""
        self.run.log({tag: self._wandb.Video(frames.transpose(0, 3, 1, 2), fps=int(fps), format="gif")})

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Put the arguments into the run's config."""
        self.run.config.update(dict(hparams), allow_val_change=True)

    def close(self) -> None:
        """Finish the run, unless it was handed in; an unreachable server is not waited for without end."""
        self._scopes.clear()
        if not self._ours:
            return
        run, self._run = self._run, None
        if run is not None:
            finisher = threading.Thread(target=run.finish, daemon=True)
            finisher.start()
            finisher.join(FINISH_SECONDS)
            if finisher.is_alive():
                raise TimeoutError(f"W&B did not finish its run within {FINISH_SECONDS:.0f} s")


class WandbLogger(RunLogger):
    """Logs to W&B, and to a journal beside it from which everything is restored.

    Args:
        log_dir: Where the journal and W&B's own files are.
        project: W&B's project.
        name: Name of the run.
        entity: W&B's user or team.
        run_id: Identity of the run; the same one goes on with it.
        config: Arguments of the run.
        mode: ``"online"``, ``"offline"`` or ``"disabled"``; W&B's own setting by default.
        run: A run that is there already; the arguments above are not looked at then.
        options: Those of :class:`RunLogger`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = ".",
        *,
        project: str | None = None,
        name: str | None = None,
        entity: str | None = None,
        run_id: str | None = None,
        config: Mapping[str, Any] | None = None,
        mode: str | None = None,
        run: Any = None,
        **options: Unpack[LoggerOptions],
    ) -> None:
        folder = LogFolder(log_dir)
        backend = make_wandb(
            folder,
            project=project,
            name=name,
            entity=entity,
            run_id=run_id,
            config=config,
            mode=mode,
            run=run,
        )
        super().__init__(folder, [JournalBackend(folder), backend], **options)


def make_wandb(
    folder: LogFolder,
    *,
    project: str | None = None,
    name: str | None = None,
    entity: str | None = None,
    run_id: str | None = None,
    config: Mapping[str, Any] | None = None,
    mode: str | None = None,
    run: Any = None,
) -> WandbBackend:
    """Return the backend for `make_logger`; the arguments are those of :class:`WandbLogger`."""
    given = {"project": project, "name": name, "entity": entity, "id": run_id, "config": config, "mode": mode}
    settings = {key: value for key, value in given.items() if value is not None}
    return WandbBackend(folder, settings | ({"resume": "allow"} if run_id is not None else {}), run)
