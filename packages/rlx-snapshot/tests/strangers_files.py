"""Snapshots as a stranger might make them: nothing in them is loaded when they are written."""

from pathlib import Path

from rlx_snapshot._format.stream import capture
from rlx_snapshot._saving.store import Store
from rlx_snapshot._settings import Settings
from rlx_snapshot._storage.storage import storage_for


def write_as_stranger(directory: Path, state: object, itr: int = 0) -> Path:
    """Write `state` to ``params.pkl`` in `directory`, and return that path."""
    settings = Settings("last", 1, "never", "rename", None, None)
    Store(storage_for(directory), settings).commit(itr, ("params.pkl",), capture(state))
    return directory / "params.pkl"
