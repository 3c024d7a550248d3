"""A policy's persistence in the shape of an ordinary one."""

from typing import Protocol

from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._offers import policy_of
from rlx_persistence._optional import TDevice
from rlx_persistence._world import World


class _PersistsPolicies(Protocol):
    def persist(self, policy: object, world: World) -> None: ...

    def restore(self, policy: object, world: World, device: TDevice) -> None: ...


class PolicyAdaptor(Persistence):
    """Persists and restores the world's policy when an event says so."""

    def __init__(self, persistence: _PersistsPolicies, policy: object | None, device: TDevice) -> None:
        self._persistence = persistence
        self._policy = policy
        self._device: TDevice = device

    def persist(self, event: PersistEvent, world: World) -> None:
        """Persist the policy."""
        self._persistence.persist(self._policy_in(world), world)

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Restore the policy."""
        self._persistence.restore(self._policy_in(world), world, self._device)

    def _policy_in(self, world: World) -> object:
        return policy_of(world) if self._policy is None else self._policy
