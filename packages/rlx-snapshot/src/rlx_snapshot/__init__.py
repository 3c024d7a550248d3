"""Whole-run snapshots that are fast, atomic, verified and ordinary pickles."""

from rlx_snapshot._config import SnapshotConfig
from rlx_snapshot._errors import (
    DamagedSnapshotError,
    NotAFileError,
    SnapshotFallbackWarning,
    SnapshotNotFoundError,
    SnapshotVersionError,
    StoreOutageWarning,
    UnpicklableStateError,
    UntrustedSnapshotError,
)
from rlx_snapshot._inspection.comparison import Comparison, Difference, compare
from rlx_snapshot._inspection.description import BufferDescription, Description, describe, verify
from rlx_snapshot._inspection.untrusted import load_untrusted
from rlx_snapshot._pickling.pickler import exact_copy, exact_dumps, exact_loads
from rlx_snapshot._snapshotter import Snapshotter

__all__ = [
    "BufferDescription",
    "Comparison",
    "DamagedSnapshotError",
    "Description",
    "Difference",
    "NotAFileError",
    "SnapshotConfig",
    "SnapshotFallbackWarning",
    "SnapshotNotFoundError",
    "SnapshotVersionError",
    "Snapshotter",
    "StoreOutageWarning",
    "UnpicklableStateError",
    "UntrustedSnapshotError",
    "compare",
    "describe",
    "exact_copy",
    "exact_dumps",
    "exact_loads",
    "load_untrusted",
    "verify",
]
