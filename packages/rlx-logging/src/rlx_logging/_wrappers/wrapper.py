"""A logger round a logger: the base of everything that changes what is logged on its way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rlx_logging._base import BaseLogger
from rlx_logging._run_logger import RunLogger

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media
    from rlx_logging._scopes import LogValue


class LoggerWrapper(BaseLogger):
    """Hands everything on to another logger; subclasses change what they are for.

    Intervals are those of the wrapped logger; the gates of the outermost wrapper decide.
    Wrappers can stand in any order.

    Args:
        to: The wrapped logger.
    """

    def __init__(self, to: BaseLogger) -> None:
        super().__init__(
            to.train_interval, to.test_interval, to.update_interval, to.info_interval, to.exclude_arrays
        )
        self.to = to

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Hand a row on."""
        self.to.write(step_type, step, data)

    def prepare_dict_for_logging(
        self, log_data: dict[str, Any], *args: Any, **options: Any
    ) -> dict[str, LogValue]:
        """Let the wrapped logger flatten and filter; further arguments are those of the wrapped one."""
        return self.to.prepare_dict_for_logging(log_data, *args, **options)

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Hand a picture, film or text on."""
        self.to.write_media(tag, step, media)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Hand the arguments of the run on."""
        self.to.log_hparams(hparams)

    def flush(self) -> None:
        """Flush the wrapped logger."""
        self.to.flush()

    def committed(self, epoch: int) -> None:
        """Hand the news of a commit on."""
        self.to.committed(epoch)

    def finalize(self) -> None:
        """Finalize the wrapped logger."""
        self.to.finalize()

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Let the wrapped logger record where training stood; it keeps the gates of this one."""
        self.to.gates = self.gates
        self.to.save_data(epoch, env_step, gradient_step, save_checkpoint_fn)

    def restore_data(self) -> tuple[int, int, int]:
        """Let the wrapped logger restore, and take over its gates."""
        counts = self.to.restore_data()
        self.gates = self.to.gates
        return counts

    restore_logged_data = staticmethod(RunLogger.restore_logged_data)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the wrapped logger with the own gates: wrappers may come and go between two runs."""
        return {**self.to.state_dict(), "gates": self.gates}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Cut the wrapped logger back, and restore the own gates."""
        super().load_state_dict(state)
        self.to.load_state_dict(state)

    def fork_from(self, from_dir: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
        """Let the wrapped logger begin with a copy of another run's logs."""
        self.gates = state.get("gates", {})
        self.to.fork_from(from_dir, state)
