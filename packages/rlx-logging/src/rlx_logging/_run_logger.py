"""The logger of a run: one `write`, any number of backends, exact resume."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from rlx_logging._backend import Backend
from rlx_logging._base import BaseLogger, check_interval
from rlx_logging._files.folder import LogFolder
from rlx_logging._files.sidecar import read_sidecar, replace_sidecar
from rlx_logging._gaps import warn_of_gaps
from rlx_logging._guard import Guards
from rlx_logging._logger_backend import LoggerLike, as_backend
from rlx_logging._options import SaveInterval
from rlx_logging._processors.chain import Chain, Processor
from rlx_logging._rows.left_out import LeftOut
from rlx_logging._rows.rows import RowBuilder, checked_step, spell
from rlx_logging._rows.values import flatten
from rlx_logging._trainer_record import TrainerRecord

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media
    from rlx_logging._scopes import LogValue, RestoredData

Durability: TypeAlias = Literal["fsync", "flush"]
FORMAT: Final = 1


class RunLogger(BaseLogger):
    """Writes every row to all of its backends; a failing one stops neither training nor the others.

    Args:
        folder: Where the files of the backends are.
        backends: Where rows go: backends, and loggers of any library with tianshou's methods.
        train_interval: Environment steps between two rows of `log_train_data`.
        test_interval: Environment steps between two rows of `log_test_data`.
        update_interval: Gradient steps between two rows of `log_update_data`.
        info_interval: Epochs between two rows of `log_info_data`.
        save_interval: Epochs between two calls of the checkpoint hook; None for no call. By default
            what the trainer's tianshou does: a call every epoch in 1.2, none in 2.0.
        exclude_arrays: Leave numpy arrays out of what is logged.
        training_interval: What tianshou 2 calls `train_interval`.
        durability: ``"fsync"``: `state_dict` waits for the disk; ``"flush"``: only for the system.
        on_failure: ``"warn"``: a failing backend costs one warning; ``"raise"``: it stops training.
        processors: What every row goes through first, one after the other: each returns the row for
            the next one, or None to drop it.

    Raises:
        TypeError: If an interval is no number, or `folder` no path.
        ValueError: If an interval is negative, a choice is none of those above, or `folder` is empty.
    """

    def __init__(
        self,
        folder: LogFolder | str | os.PathLike[str],
        backends: Sequence[Backend | LoggerLike],
        *,
        train_interval: int = 1000,
        test_interval: int = 1,
        update_interval: int = 1000,
        info_interval: int = 1,
        save_interval: SaveInterval = "auto",
        exclude_arrays: bool = True,
        training_interval: int | None = None,
        durability: Durability = "fsync",
        on_failure: Literal["warn", "raise"] = "warn",
        processors: Sequence[Processor] = (),
    ) -> None:
        super().__init__(
            train_interval,
            test_interval,
            update_interval,
            info_interval,
            exclude_arrays,
            training_interval=training_interval,
        )
        _check_options(durability, on_failure, save_interval)
        self.save_interval: SaveInterval = save_interval
        self.last_save_step = -1
        self.folder = folder if isinstance(folder, LogFolder) else LogFolder(folder)
        self._durability = durability
        self._guards: Guards[Backend] = Guards(reraise=on_failure == "raise")
        for backend in backends:
            self.add_backend(backend)
        self._record = TrainerRecord(self.folder, self._guards)
        self._process = Chain(processors, reraise=on_failure == "raise")
        self._left_out = LeftOut()
        self._rows = RowBuilder(exclude_arrays, self._left_out.note, self._record.count_rows)

    def add_backend(self, backend: Backend | LoggerLike) -> None:
        """Hand every further row to one more backend, or logger of any library with tianshou's methods."""
        added = as_backend(backend)
        self._guards.add(added, added.name)

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Where rows go."""
        return tuple(guard.target for guard in self._guards)

    def prepare_dict_for_logging(
        self,
        log_data: dict[str, Any],
        parent_key: str = "",
        delimiter: str = "/",
        exclude_arrays: bool | None = None,
    ) -> dict[str, LogValue]:
        """Return the numbers of a nested dict under keys joined by `delimiter`.

        Every real number is kept as a plain one: of Python and numpy, the only element of an
        array or tensor of any library. What is no number, as strings, None and lists, is left
        out; the next `write` names it with `NotANumberWarning`, each key once.

        Args:
            log_data: What is to be logged.
            parent_key: Put before every key.
            delimiter: What joins the keys of nested dicts.
            exclude_arrays: Leave arrays out; the logger's own setting by default.
        """
        return flatten(
            log_data,
            prefix=parent_key,
            delimiter=delimiter,
            exclude_arrays=self.exclude_arrays if exclude_arrays is None else exclude_arrays,
            left_out=self._left_out.note,
        )

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Log one row to every backend, whatever the intervals say.

        Keys are logged as described in the README: those of nested dicts are joined by ``/``,
        control characters are escaped, an empty key is ``(empty)``, one of more than 1000
        characters is cut. Values that are no numbers are left out; each key of one is named
        once with `NotANumberWarning`, after everything else is written.

        Raises:
            ValueError: If `step_type` is not ``"scope/name"``, if `data` has the name of the
                step as a key with another value, or if two keys are spelled alike.
            TypeError: If `step` is not a whole number.
        """
        row = self._rows.build(step_type, step, data)
        processed = self._process(row)
        if processed is None:
            return
        self._rows.number += 1
        for guard in self._guards:
            try:
                guard.target.write(processed)
            except Exception as error:  # noqa: BLE001 - logging must not end training
                guard.failed("write a row", error)
        self._left_out.warn()

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Log a picture, film or text to every backend that can show it; `tag` is spelled as keys are.

        Raises:
            TypeError: If `step` is not a whole number.
        """
        name, now, whole = spell(tag), time.time(), checked_step(step, tag)
        self._guards.each(f"write {tag!r}", lambda backend: backend.write_media(name, whole, now, media))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run.

        Raises:
            TypeError: If they do not map names to values.
        """
        from rlx_logging._rows.arguments import plain_arguments

        arguments = plain_arguments(hparams)
        self._guards.each("log hyperparameters", lambda backend: backend.log_hparams(arguments))

    def flush(self) -> None:
        """Hand everything that is pending to the operating system."""
        self._guards.each("flush", lambda backend: backend.flush())

    def committed(self, epoch: int) -> None:
        """Learn that the snapshot taken after `epoch` is durable."""
        self._guards.each("note a commit", lambda backend: backend.committed(epoch))

    def finalize(self) -> None:
        """Close all backends and files, and report what was dropped. A later `write` opens them again.

        Called while an exception is on its way, it tells backends of a failure.
        """
        failed = _is_failure(sys.exception())
        self._guards.each("close", lambda backend: backend.finish(failed=failed))
        self.folder.close()
        self._guards.report()

    def log_training_data(self, log_data: dict[str, Any], step: int) -> None:
        """Log what the collector returned, as tianshou 2 calls it; its default is to save no checkpoint."""
        if self.save_interval == "auto":
            self.save_interval = None
        super().log_training_data(log_data, step)

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Call the checkpoint hook when its interval is due, and record where training stood.

        Without a hook nothing happens, as there is nothing to continue from.
        """
        interval = 1 if self.save_interval == "auto" else self.save_interval
        if save_checkpoint_fn is None or interval is None or epoch - self.last_save_step < interval:
            return
        self.last_save_step = epoch
        path = save_checkpoint_fn(epoch, env_step, gradient_step)
        counts = {"epoch": epoch, "env_step": env_step, "gradient_step": gradient_step}
        for name, count in counts.items():
            self.write(f"save/{name}", count, {})
        self._guards.each("store a checkpoint", lambda backend: backend.log_checkpoint(path, counts))
        self._record.save({**counts, "gates": self.last_logged_steps, "last_save_step": epoch})

    def restore_data(self) -> tuple[int, int, int]:
        """Restore the last logged steps and return epoch, env_step and gradient_step of the last `save_data`.

        Reads one small file, however long the logs are; where there is none, the event files that a
        logger of tianshou or torch left in the folder. ``(0, 0, 0)`` if those hold nothing either.
        """
        saved = self._record.restore()
        self._rows.restart()
        self.last_logged_steps = saved["gates"]
        self.last_save_step = saved["last_save_step"]
        return saved["epoch"], saved["env_step"], saved["gradient_step"]

    @staticmethod
    def restore_logged_data(log_path: str) -> RestoredData:
        """Read back everything that was logged under `log_path`: arrays in a dict nested by ``/``.

        Every value ever logged is there, in order. Where both ``a`` and ``a/b`` were
        logged, the values of ``a`` stand in the dict of ``a`` under the empty key.
        """
        from rlx_logging._read import read_metrics

        return read_metrics(log_path).nested()

    def state_dict(self) -> dict[str, Any]:
        """Flush, and return the last logged steps and the position of every file, as plain values.

        With durability ``"fsync"`` everything up to the positions is on the disk on return.
        """
        self.flush()
        if self._durability == "fsync":
            self._guards.on_disk("sync the logs to the disk", self.folder.sync)
        positions = self.folder.positions()
        return {
            "format": FORMAT,
            "gates": self.last_logged_steps,
            "last_save_step": self.last_save_step,
            "rows": self._rows.number,
            "files": positions,
            "ends": self.folder.ends(positions),
            "saved": read_sidecar(self.folder.path),
            "backends": {guard.name: guard.target.state_dict() for guard in self._guards},
        }

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Cut every own file back to `state`; an empty one means that nothing was committed.

        What is cut off is kept under ``discarded/``. Files that are not the logger's own
        are not touched, and none where `state` is that of a logger without files. Warns with
        `ShorterLogWarning` of a log that is shorter than `state` says, or written again, and
        with `GapWarning` of a backend that was off when the rows before `state` were logged.

        Raises:
            TypeError: If `state` is no mapping.
            ValueError: If it is of a newer format.
        """
        _check_format(state)
        warn_of_gaps(self._guards, state)
        self._guards.each("let go of its files", lambda backend: backend.discard())
        if "files" in state or not state:
            self.folder.cut(state.get("files", {}), state.get("ends"))
        self.last_logged_steps = state.get("gates", {})
        self.last_save_step = state.get("last_save_step", -1)
        self._rows.restart(state.get("rows", -1))
        replace_sidecar(self.folder.path, state.get("saved"))
        parts = state.get("backends", {})
        self._guards.each_named(
            "continue from a state", lambda name, backend: backend.load_state_dict(parts.get(name, {}))
        )

    def fork_from(self, from_dir: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
        """Begin with a copy of another run's logs up to `state`, and leave that run as it is.

        Logs that this logger's folder already has are put away under ``discarded/``.

        Args:
            from_dir: Folder of the other run's logs.
            state: Where the other run's logger stood, as its `state_dict` said.

        Raises:
            ValueError: If `state` is of a newer format.
            OSError: If a log cannot be copied.
        """
        _check_format(state)
        self._guards.each("let go of its files", lambda backend: backend.discard())
        self.folder.copy_from(Path(from_dir), state.get("files", {}))
        self.load_state_dict(state)


def _is_failure(error: BaseException | None) -> bool:
    """Tell whether an exception ends a run in failure; leaving with status 0 does not."""
    if isinstance(error, SystemExit):
        return error.code not in (None, 0)
    return error is not None


def _check_format(state: Mapping[str, Any]) -> None:
    if not isinstance(state, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"the state of a logger must be a mapping, {{}} if nothing was saved; got {state!r}.")
    if state.get("format", FORMAT) != FORMAT:
        raise ValueError(f"this logger state has format {state['format']}; this version reads {FORMAT}.")


def _check_options(durability: str, on_failure: str, save_interval: SaveInterval) -> None:
    check_choice("durability", durability, ("fsync", "flush"))
    check_choice("on_failure", on_failure, ("warn", "raise"))
    if save_interval is not None and save_interval != "auto":
        check_interval("save_interval", save_interval)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuse a `value` that is none of `choices`.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}.")
