"""What can happen to a policy's files, and who reacts to it."""

from abc import ABC, abstractmethod
from enum import Enum

from rlx_persistence._world import World


class PersistEvent(Enum):
    """Enumeration of persistence events that Persistence objects can react to."""

    PERSIST_POLICY = "persist_policy"
    """The policy is persisted (a new best was found, or a checkpoint is due)."""


class RestoreEvent(Enum):
    """Enumeration of restoration events that Persistence objects can react to."""

    RESTORE_POLICY = "restore_policy"
    """The policy's parameters are restored."""


class Persistence(ABC):
    """Keeps something beside the policy, and brings it back with it."""

    @abstractmethod
    def persist(self, event: PersistEvent, world: World) -> None:
        """Write what this object keeps below ``world.persist_directory``."""

    @abstractmethod
    def restore(self, event: RestoreEvent, world: World) -> None:
        """Bring back what was written, from ``world.restore_directory``."""
