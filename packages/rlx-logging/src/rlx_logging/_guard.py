"""One backend's failures kept from training and from the other backends."""

from __future__ import annotations

from collections.abc import Callable

from rlx_logging._backend import Backend
from rlx_logging._errors import DroppedRowsWarning
from rlx_logging._warn import warn


class Guard:
    """Calls a backend; a failure costs one warning, later ones are only counted.

    Args:
        backend: What is called.
        reraise: Let failures through, for those who want training to stop.
    """

    def __init__(self, backend: Backend, *, reraise: bool = False) -> None:
        self.backend = backend
        self.dropped = 0
        self._reraise = reraise
        self._warned = False

    def __call__(self, what: str, call: Callable[[Backend], object]) -> None:
        """Call `call` with the backend."""
        try:
            call(self.backend)
        except Exception as error:  # noqa: BLE001 - logging must not end training
            self.failed(what, error)

    def failed(self, what: str, error: Exception) -> None:
        """Count a failure, and warn of the first; or let it through."""
        if self._reraise:
            raise error
        self.dropped += 1
        if not self._warned:
            self._warned = True
            warn(
                f"{self.backend.name}: could not {what} ({type(error).__name__}: {error}); training goes on. "
                "What is dropped is counted and reported when the logger is finalized.",
                DroppedRowsWarning,
            )

    def report(self) -> None:
        """Warn of everything that was dropped since the last report."""
        if self.dropped > 1:
            warn(f"{self.backend.name}: {self.dropped} calls were dropped in all.", DroppedRowsWarning)
        self.dropped = 0
