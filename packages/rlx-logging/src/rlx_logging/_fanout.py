"""Several loggers as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rlx_logging._base import BaseLogger
from rlx_logging._values import flatten

if TYPE_CHECKING:
    from rlx_logging._media import Media
    from rlx_logging._scopes import LogValue, RestoredData


class FanoutLogger(BaseLogger):
    """Gates once, and hands every row to all of its loggers.

    For several backends of this package in one folder, :func:`make_logger` with several
    names is the quicker way; this joins any loggers, also those of other libraries.

    Args:
        loggers: Where rows go; their own gates are not asked.
        train_interval: Environment steps between two rows of `log_train_data`.
        test_interval: Environment steps between two rows of `log_test_data`.
        update_interval: Gradient steps between two rows of `log_update_data`.
        info_interval: Epochs between two rows of `log_info_data`.
        exclude_arrays: Leave numpy arrays out of what is logged.
    """

    def __init__(
        self,
        loggers: Sequence[BaseLogger],
        train_interval: int = 1000,
        test_interval: int = 1,
        update_interval: int = 1000,
        info_interval: int = 1,
        exclude_arrays: bool = True,
    ) -> None:
        super().__init__(train_interval, test_interval, update_interval, info_interval, exclude_arrays)
        self.loggers = tuple(loggers)

    def prepare_dict_for_logging(self, log_data: dict[str, Any]) -> dict[str, LogValue]:
        """Return the numbers of a nested dict under keys joined by ``/``."""
        return flatten(log_data, exclude_arrays=self.exclude_arrays)

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Log one row to every logger."""
        for logger in self.loggers:
            logger.write(step_type, step, data)

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Log a picture, film or text to every logger that can."""
        for logger in self.loggers:
            logger.write_media(tag, step, media)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Log the arguments of the run to every logger."""
        for logger in self.loggers:
            logger.log_hparams(hparams)

    def finalize(self) -> None:
        """Finalize every logger."""
        for logger in self.loggers:
            logger.finalize()

    def flush(self) -> None:
        """Flush every logger."""
        for logger in self.loggers:
            logger.flush()

    def committed(self, epoch: int) -> None:
        """Tell every logger of a commit."""
        for logger in self.loggers:
            logger.committed(epoch)

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Let every logger record where training stood; the hook is called once, by the first that is due."""
        hook = None if save_checkpoint_fn is None else _once(save_checkpoint_fn)
        for logger in self.loggers:
            logger.save_data(epoch, env_step, gradient_step, hook)

    def restore_data(self) -> tuple[int, int, int]:
        """Restore every logger and return what the first one that has a record says."""
        restored = [logger.restore_data() for logger in self.loggers]
        for logger, counts in zip(self.loggers, restored, strict=True):
            if counts != (0, 0, 0):
                self.gates = logger.gates
                return counts
        return 0, 0, 0

    @staticmethod
    def restore_logged_data(log_path: str) -> RestoredData:
        """Read back everything that was logged under `log_path`."""
        from rlx_logging._run_logger import RunLogger

        return RunLogger.restore_logged_data(log_path)

    def state_dict(self) -> dict[str, Any]:
        """Flush all loggers, then return the gates and the state of each."""
        self.flush()
        return {"gates": self.gates, "loggers": [logger.state_dict() for logger in self.loggers]}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Cut every logger back to its part of `state`.

        Raises:
            ValueError: If `state` is that of another number of loggers.
        """
        parts = self._parts(state)
        super().load_state_dict(state)
        for logger, part in zip(self.loggers, parts, strict=True):
            logger.load_state_dict(part)

    def fork_from(self, from_dir: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
        """Let every logger begin with a copy of its part of another run's logs.

        Raises:
            ValueError: If `state` is that of another number of loggers.
        """
        self.gates = state.get("gates", {})
        for logger, part in zip(self.loggers, self._parts(state), strict=True):
            logger.fork_from(from_dir, part)

    def _parts(self, state: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        parts: Sequence[Mapping[str, Any]] = state.get("loggers", [{}] * len(self.loggers))
        if len(parts) != len(self.loggers):
            raise ValueError(
                f"the state is that of {len(parts)} loggers; this fan-out has {len(self.loggers)}."
            )
        return parts


def _once(hook: Callable[[int, int, int], str]) -> Callable[[int, int, int], str]:
    results: list[str] = []

    def call(epoch: int, env_step: int, gradient_step: int) -> str:
        if not results:
            results.append(hook(epoch, env_step, gradient_step))
        return results[0]

    return call
