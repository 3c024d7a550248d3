"""Keeping whole-run states: what a runner asks of a snapshotter."""

from typing import Any, Protocol


class SnapshotConfigLike(Protocol):
    """Where snapshots go and which are kept. Read-only, so that a named tuple satisfies it."""

    @property
    def snapshot_dir(self) -> str:
        """Directory, or URL, of the snapshots."""
        ...

    @property
    def snapshot_mode(self) -> str:
        """Which iterations are saved: "all", "last", "gap", "gap_and_last", "gap_overwrite" or "none"."""
        ...

    @property
    def snapshot_gap(self) -> int:
        """Iterations from one numbered snapshot to the next."""
        ...


class SnapshotStore(Protocol):
    """Keeps whole-run states by iteration and never looks inside one.

    Implementations are checked by `rlx_protocols.testing.check_snapshot_store`.
    """

    def save_itr_params(self, itr: int, params: Any) -> None:
        """Keep `params` if the mode says so; changing `params` afterwards must not reach the store."""
        ...

    def load(self, load_dir: str, itr: int | str = "last") -> Any:
        """Return the state of iteration `itr`, a number, "first" or "last".

        Raises:
            ValueError: If `itr` is none of these.
            FileNotFoundError: If there is no such state.
        """
        ...


class BackgroundStore(Protocol):
    """A store that returns before a state is durable."""

    def wait(self) -> None:
        """Block until everything saved so far is durable; raise what went wrong."""
        ...

    @property
    def last_committed(self) -> int | None:
        """Newest iteration that is durable; None before the first."""
        ...
