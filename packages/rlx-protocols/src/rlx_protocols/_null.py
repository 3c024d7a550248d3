"""Parts that do nothing, for runs that want none."""

from collections.abc import Mapping
from typing import Any


class NullLogger:
    """A logger that writes nothing and has nothing to restore."""

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Drop the row."""

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Accept any state, so that a run can be resumed without its logger."""

    def finalize(self) -> None:
        """Do nothing."""


class NullSnapshotStore:
    """A store that keeps nothing."""

    def save_itr_params(self, itr: int, params: Any) -> None:
        """Drop the state."""

    def load(self, load_dir: str, itr: int | str = "last") -> Any:
        """Say that there is nothing.

        Raises:
            FileNotFoundError: Always.
        """
        raise FileNotFoundError(
            f"no snapshot of iteration {itr!r} in {load_dir!r}: this run keeps none (NullSnapshotStore)."
        )
