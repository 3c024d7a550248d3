"""The logger that does nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rlx_logging._base import BaseLogger

if TYPE_CHECKING:
    from rlx_logging._scopes import LogValue, RestoredData


class LazyLogger(BaseLogger):
    """A logger that writes nothing: the placeholder in a trainer.

    The arguments are those of `BaseLogger` and change nothing.
    """

    def prepare_dict_for_logging(
        self,
        log_data: dict[str, Any],
        *,
        parent_key: str = "",
        delimiter: str = "/",
        exclude_arrays: bool | None = None,
    ) -> dict[str, LogValue]:
        """Return `log_data` as it is, whatever else is asked: preparing what nobody reads would cost time."""
        del parent_key, delimiter, exclude_arrays
        return log_data

    def write(self, step_type: str, step: int, data: Mapping[str, Any]) -> None:
        """Write nothing."""

    def finalize(self) -> None:
        """Close nothing."""

    def save_data(
        self,
        epoch: int,
        env_step: int,
        gradient_step: int,
        save_checkpoint_fn: Callable[[int, int, int], str] | None = None,
    ) -> None:
        """Record nothing and call no hook."""

    def restore_data(self) -> tuple[int, int, int]:
        """Return ``(0, 0, 0)``: there is nothing to restore."""
        return 0, 0, 0

    @staticmethod
    def restore_logged_data(log_path: str) -> RestoredData:
        """Return an empty dict: nothing was logged."""
        return {}
