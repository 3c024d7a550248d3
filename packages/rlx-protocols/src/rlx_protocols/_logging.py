"""Writing numbers down: what a runner asks of a logger."""

from typing import Any, Protocol


class Logger(Protocol):
    """Accepts named numbers at a step. Never decides when training saves or stops.

    A logger that is also `Stateful` can be cut back to the position that a
    snapshot recorded, so that a resumed run loses and doubles nothing.
    Implementations are checked by `rlx_protocols.testing.check_logger`.
    """

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Write one row.

        Args:
            step_type: Namespace and name of the step, as in ``"info/epoch"``.
            step: Where the row stands on that axis.
            data: Values by name.

        Raises:
            ValueError: If `step_type` is not of the form ``"scope/name"``.
        """
        ...

    def finalize(self) -> None:
        """Write out what is pending and close. Calling it twice is allowed."""
        ...


class CommitAware(Protocol):
    """A logger that holds points back until the snapshot that covers them is on disk."""

    def committed(self, epoch: int) -> None:
        """Learn that the snapshot of `epoch` is durable."""
        ...
