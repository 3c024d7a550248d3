"""A logger as a backend: one of another library, or one of this package with a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rlx_logging._backend import Backend
from rlx_logging._offers import method_of
from rlx_logging._rows.rows import Row

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media


class LoggerLike(Protocol):
    """What every logger of tianshou's contract has; data are not looked at."""

    def write(self, step_type: str, step: int, data: Any) -> None:
        """Log one row."""
        ...

    def finalize(self) -> None:
        """Close."""
        ...

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        hook: Callable[[int, int, int], str] | None,
        /,
    ) -> None:  # the names differ between tianshou's versions
        """Record where training stood."""
        ...


class LoggerBackend(Backend):
    """Hands rows to a logger, and everything else where it offers it; its own intervals are not asked.

    Args:
        logger: Anything with tianshou's methods. One that has a state is cut back with the others.
    """

    def __init__(self, logger: LoggerLike) -> None:
        self.logger = logger
        self.name = type(logger).__name__

    def write(self, row: Row) -> None:
        """Hand a row on."""
        start = f"{row.layout.scope}/"
        arrays = {tag.removeprefix(start): array for tag, array in row.arrays.items()}
        self.logger.write(row.step_type, row.step, {**row.data, **arrays})

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Hand a picture, film or text on."""
        del time
        self._offer("write_media", tag, step, media)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Hand the arguments of the run on."""
        self._offer("log_hparams", hparams)

    def log_checkpoint(self, path: str, counts: Mapping[str, int]) -> None:
        """Let the logger record where training stood."""
        self.logger.save_data(
            counts["epoch"], counts["env_step"], counts["gradient_step"], lambda _epoch, _env, _gradient: path
        )

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

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Hand a state on to a logger that takes it; what others logged is not cut."""
        self._offer("load_state_dict", state)

    def discard(self) -> None:
        """Leave what is to be cut to the logger."""

    def close(self) -> None:
        """Finalize the logger."""
        self.logger.finalize()

    def _offer(self, name: str, *arguments: object) -> Any:
        method = method_of(self.logger, name)
        return None if method is None else method(*arguments)


def as_backend(target: Backend | LoggerLike) -> Backend:
    """Return a backend as it is, and a logger as one."""
    return target if isinstance(target, Backend) else LoggerBackend(target)
