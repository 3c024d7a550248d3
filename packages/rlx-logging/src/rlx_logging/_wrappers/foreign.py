"""A logger of another library under the methods of this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rlx_logging._base import BaseLogger
from rlx_logging._offers import count_of, method_of
from rlx_logging._rows.values import flatten
from rlx_logging._run_logger import RunLogger

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media
    from rlx_logging._scopes import LogValue


class LoggerLike(Protocol):
    """What every logger of tianshou's contract has; data are not looked at."""

    def write(self, step_type: str, step: int, data: Any) -> None:
        """Log one row."""
        ...

    def finalize(self) -> None:
        """Close."""
        ...

    def save_data(
        self, epoch: int, env_step: int, gradient_step: int, hook: Any, /
    ) -> None:  # the names differ between tianshou's versions
        """Record where training stood."""
        ...

    def restore_data(self) -> tuple[int, int, int]:
        """Return where training stood."""
        ...


class ForeignLogger(BaseLogger):
    """Hands on what every logger takes, and the rest where the other logger offers it.

    Args:
        to: The other library's logger.
    """

    def __init__(self, to: LoggerLike) -> None:
        super().__init__()
        self.to = to

    def prepare_dict_for_logging(self, log_data: dict[str, Any]) -> dict[str, LogValue]:
        """Return the numbers of a nested dict under keys joined by ``/``."""
        return flatten(log_data)

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Hand a row on."""
        self.to.write(step_type, step, dict(data))

    def finalize(self) -> None:
        """Finalize the other logger."""
        self.to.finalize()

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Let the other logger record where training stood."""
        self.to.save_data(epoch, env_step, gradient_step, save_checkpoint_fn)

    def restore_data(self) -> tuple[int, int, int]:
        """Let the other logger restore, and take over the gates that it has then."""
        counts = self.to.restore_data()
        self.gates = {scope: count_of(self.to, f"last_log_{scope}_step") for scope in self.gates}
        return counts

    restore_logged_data = staticmethod(RunLogger.restore_logged_data)

    def write_media(self, tag: str, step: int, media: Media) -> None:
        """Hand a picture, film or text on to a logger that takes them."""
        self._offer("write_media", tag, step, media)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Hand the arguments of the run on to a logger that takes them."""
        self._offer("log_hparams", hparams)

    def flush(self) -> None:
        """Flush a logger that can be."""
        self._offer("flush")

    def committed(self, epoch: int) -> None:
        """Tell a logger that listens of a commit."""
        self._offer("committed", epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of a logger that has one; an empty one for others."""
        state: dict[str, Any] = self._offer("state_dict") or {}
        return state

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Hand a state on to a logger that takes it; what others logged is not cut."""
        self._offer("load_state_dict", state)

    def _offer(self, name: str, *arguments: object) -> Any:
        method = method_of(self.to, name)
        return None if method is None else method(*arguments)


def adopted(logger: BaseLogger | LoggerLike) -> BaseLogger:
    """Return a logger with all methods of this package's."""
    return logger if isinstance(logger, BaseLogger) else ForeignLogger(logger)
