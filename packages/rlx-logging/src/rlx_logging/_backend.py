"""What a place that rows go to has to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rlx_logging._rows.rows import Row

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media


class Backend(ABC):
    """One place that rows go to. Only `write` must be there.

    A backend opens its files through its `LogFolder` when it first needs them.
    It may raise: the logger warns once, counts what was dropped, and continues.
    """

    name: str = "backend"
    may_lack_rows: bool = True  # False where rows are shown and forgotten, or taken from the journal

    @abstractmethod
    def write(self, row: Row) -> None:
        """Take one row; when this returns, a kill of the process does not lose it."""

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Take a picture, film or text, where the backend can hold one."""

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Take the arguments of the run."""

    def flush(self) -> None:
        """Hand what is pending to the operating system, so that files have their full length."""

    def committed(self, epoch: int) -> None:
        """Learn that the snapshot taken after `epoch` is durable."""

    def state_dict(self) -> dict[str, Any]:
        """Return what is to be restored beyond the length of files."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`; files were closed before, and cut or moved."""

    def record(self) -> dict[str, Any]:
        """Return what `restore` needs to continue where `save_data` is called now."""
        return {}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Continue after everything that was logged; `record` is that of the last `save_data`, empty if there was none."""

    def log_checkpoint(self, path: str, counts: Mapping[str, int]) -> None:
        """Take the checkpoint that a trainer's hook wrote, where the backend stores such."""

    def discard(self) -> None:
        """Let go of open files, because they are about to be cut, and of what is pending."""
        self.close()

    def finish(self, *, failed: bool) -> None:
        """Close at the end of an attempt; `failed` says that an exception ended it."""
        del failed
        self.close()

    def close(self) -> None:
        """Release everything; `write` after it may open again."""
