"""Checks of a snapshot store: what was saved comes back, what was not is an error."""

from collections.abc import Callable
from typing import Any

from rlx_protocols._snapshots import SnapshotStore
from rlx_protocols.testing._requirement import require, require_error


def check_snapshot_store(make_store: Callable[[], tuple[SnapshotStore, str]]) -> None:
    """Check that a store keeps the contract of `SnapshotStore`.

    Args:
        make_store: Builds a store that keeps every iteration, and says where; each call a new place.

    Raises:
        ConformanceError: If it does not; names the rule and what was seen.
    """
    store, directory = make_store()
    require_error(
        FileNotFoundError, "an empty store must raise FileNotFoundError", lambda: store.load(directory)
    )
    state: dict[str, Any] = {"itr": 0, "weights": [1.0, 2.0]}
    for itr in range(12):
        state["itr"] = itr
        store.save_itr_params(itr, state)
    state["itr"] = -1  # changed after the save: the store must not notice
    choices: list[tuple[int, int | str]] = [(11, "last"), (0, "first"), (9, 9)]
    for wanted, choice in choices:
        loaded = store.load(directory, choice)
        require(
            loaded == {"itr": wanted, "weights": [1.0, 2.0]},
            f"load({choice!r}) must give iteration {wanted}",
            loaded,
        )
    require_error(
        FileNotFoundError,
        "a missing iteration must raise FileNotFoundError",
        lambda: store.load(directory, 99),
    )
    require_error(
        ValueError,
        "'newest' is no iteration and must be a ValueError",
        lambda: store.load(directory, "newest"),
    )
