"""Several loggers as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rlx_logging._base import BaseLogger
from rlx_logging._guard import Guard
from rlx_logging._rows.arguments import plain_arguments
from rlx_logging._rows.left_out import LeftOut
from rlx_logging._rows.rows import RowBuilder
from rlx_logging._rows.values import flatten
from rlx_logging._run_logger import RunLogger, check_choice
from rlx_logging._wrappers.foreign import ForeignLogger, LoggerLike, adopted

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media
    from rlx_logging._scopes import LogValue


class FanoutLogger(BaseLogger):
    """Gates once, and hands every row to all of its loggers.

    For several backends of this package in one folder, :func:`make_logger` with several
    names is the quicker way; this joins any loggers, also those of other libraries: one that
    has tianshou's methods only gets its rows, and what it lacks is passed over.
    A logger that fails stops neither training nor the others.

    Args:
        loggers: Where rows go; their own gates are not asked.
        train_interval: Environment steps between two rows of `log_train_data`.
        test_interval: Environment steps between two rows of `log_test_data`.
        update_interval: Gradient steps between two rows of `log_update_data`.
        info_interval: Epochs between two rows of `log_info_data`.
        exclude_arrays: Leave numpy arrays out of what is logged.
        on_failure: ``"warn"``: a failing logger costs one warning; ``"raise"``: it stops training.

    Raises:
        TypeError: If an interval is no number.
        ValueError: If an interval is negative, or `on_failure` is none of those above.
    """

    def __init__(
        self,
        loggers: Sequence[BaseLogger | LoggerLike],
        train_interval: int = 1000,
        test_interval: int = 1,
        update_interval: int = 1000,
        info_interval: int = 1,
        exclude_arrays: bool = True,
        *,
        on_failure: Literal["warn", "raise"] = "warn",
    ) -> None:
        super().__init__(train_interval, test_interval, update_interval, info_interval, exclude_arrays)
        check_choice("on_failure", on_failure, ("warn", "raise"))
        self.loggers = tuple(loggers)
        self._guards = [
            Guard(adopted(logger), type(logger).__name__, reraise=on_failure == "raise") for logger in loggers
        ]
        self._rows = RowBuilder()
        self._left_out = LeftOut()

    def prepare_dict_for_logging(
        self,
        log_data: dict[str, Any],
        parent_key: str = "",
        delimiter: str = "/",
        exclude_arrays: bool | None = None,
    ) -> dict[str, LogValue]:
        """Return the numbers of a nested dict under keys joined by `delimiter`.

        Args:
            log_data: What is to be logged.
            parent_key: Put before every key.
            delimiter: What joins the keys of nested dicts.
            exclude_arrays: Leave arrays out; the logger's own setting by default.
        """
        exclude = self.exclude_arrays if exclude_arrays is None else exclude_arrays
        return flatten(
            log_data,
            prefix=parent_key,
            delimiter=delimiter,
            exclude_arrays=exclude,
            left_out=self._left_out.note,
        )

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Log one row to every logger.

        Raises:
            ValueError: If no logger could take the row: see :meth:`RunLogger.write`.
            TypeError: If `step` is not a whole number.
        """
        self._rows.build(step_type, step, data)  # the caller's mistakes are no failure of a logger
        self._each("write a row", lambda logger: logger.write(step_type, step, data))
        self._left_out.warn()

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Log a picture, film or text to every logger that can."""
        self._each(f"write {tag!r}", lambda logger: logger.write_media(tag, step, media))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run to every logger.

        Raises:
            TypeError: If they do not map names to values.
        """
        arguments = plain_arguments(hparams)
        self._each("log hyperparameters", lambda logger: logger.log_hparams(arguments))

    def finalize(self) -> None:
        """Finalize every logger, and report what was dropped."""
        self._each("close", lambda logger: logger.finalize())
        for guard in self._guards:
            guard.report()

    def flush(self) -> None:
        """Flush every logger."""
        self._each("flush", lambda logger: logger.flush())

    def committed(self, epoch: int) -> None:
        """Tell every logger of a commit."""
        self._each("note a commit", lambda logger: logger.committed(epoch))

    def _each(self, what: str, call: Callable[[BaseLogger], object]) -> None:
        for guard in self._guards:
            guard(what, call)

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Let every logger record where training stood, with the gates of this one.

        The hook is called once, by the first that is due; what it raises is raised here.
        """
        hook = None if save_checkpoint_fn is None else _Once(save_checkpoint_fn)

        def save(logger: BaseLogger) -> None:
            logger.gates = self.gates
            try:
                logger.save_data(epoch, env_step, gradient_step, hook)
            except Exception:
                if hook is None or hook.error is None:  # the hook's own failure is none of the logger's
                    raise

        for guard in self._guards:
            guard("record where training stood", save)
            if hook is not None and hook.error is not None:
                raise hook.error

    def restore_data(self) -> tuple[int, int, int]:
        """Restore every logger and return what the first one that has a record says.

        Loggers of this package are asked first: they know every gate.
        """
        restored: list[tuple[BaseLogger, tuple[int, int, int]]] = []
        self._each(
            "restore where training stood", lambda logger: restored.append((logger, logger.restore_data()))
        )
        restored.sort(key=lambda pair: isinstance(pair[0], ForeignLogger))
        for logger, counts in restored:
            if counts != (0, 0, 0):
                self.gates = logger.gates
                return counts
        return 0, 0, 0

    restore_logged_data = staticmethod(RunLogger.restore_logged_data)

    def state_dict(self) -> dict[str, Any]:
        """Flush all loggers, then return the gates and the state of each."""
        self.flush()
        return {"gates": self.gates, "loggers": [guard.target.state_dict() for guard in self._guards]}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Cut every logger back to its part of `state`.

        Raises:
            ValueError: If `state` is that of another number of loggers, or of a single one.
        """
        parts = self._parts(state)
        super().load_state_dict(state)
        for guard, part in zip(self._guards, parts, strict=True):
            guard.target.load_state_dict(part)

    def fork_from(self, from_dir: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
        """Let every logger begin with a copy of its part of another run's logs.

        Raises:
            ValueError: If `state` is that of another number of loggers, or of a single one.
        """
        self.gates = state.get("gates", {})
        for guard, part in zip(self._guards, self._parts(state), strict=True):
            guard.target.fork_from(from_dir, part)

    def _parts(self, state: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        if "files" in state:
            raise ValueError(
                "the state is that of a single logger: resume with that one rather than a fan-out."
            )
        parts: Sequence[Mapping[str, Any]] = state.get("loggers", [state] * len(self.loggers))
        if len(parts) != len(self.loggers):
            raise ValueError(
                f"the state is that of {len(parts)} loggers; this fan-out has {len(self.loggers)}."
            )
        return parts


class _Once:
    """A checkpoint hook that several loggers call, and that is done once."""

    def __init__(self, hook: Callable[[int, int, int], str]) -> None:
        self._hook = hook
        self._paths: list[str] = []
        self.error: Exception | None = None

    def __call__(self, epoch: int, env_step: int, gradient_step: int) -> str:
        if not self._paths:
            try:
                self._paths.append(self._hook(epoch, env_step, gradient_step))
            except Exception as error:
                self.error = error
                raise
        return self._paths[0]
