"""Policies kept in a form that others can load."""

from rlx_persistence._checkpoints import Checkpoint, KeepAny, KeepBest, Keeper, KeepLast
from rlx_persistence._errors import (
    DamagedFileError,
    DtypeWarning,
    MissingLibraryError,
    PolicyMismatchError,
    PolicyNotFoundError,
    WrongModeError,
)
from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._files import load_policy, read_info
from rlx_persistence._group import PersistenceGroup
from rlx_persistence._members import (
    FilePersistence,
    OptimizerPersistence,
    ReplayBufferPersistence,
)
from rlx_persistence._normalizer import NormalizerPersistence
from rlx_persistence._policy import PolicyPersistence
from rlx_persistence._record import PolicyInfo
from rlx_persistence._world import FolderWorld, HasAlgorithm, HasPolicy, World

__all__ = [
    "Checkpoint",
    "DamagedFileError",
    "DtypeWarning",
    "FilePersistence",
    "FolderWorld",
    "HasAlgorithm",
    "HasPolicy",
    "KeepAny",
    "KeepBest",
    "KeepLast",
    "Keeper",
    "MissingLibraryError",
    "NormalizerPersistence",
    "OptimizerPersistence",
    "PersistEvent",
    "Persistence",
    "PersistenceGroup",
    "PolicyInfo",
    "PolicyMismatchError",
    "PolicyNotFoundError",
    "PolicyPersistence",
    "ReplayBufferPersistence",
    "RestoreEvent",
    "World",
    "WrongModeError",
    "load_policy",
    "read_info",
]
