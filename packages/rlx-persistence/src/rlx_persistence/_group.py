"""Several persistences handled as one."""

from collections.abc import Callable

from rlx_persistence._events import Persistence, PersistEvent, RestoreEvent
from rlx_persistence._world import World


class PersistenceGroup(Persistence):
    """Groups persistence handlers such that they can be applied collectively.

    Every member is tried, in the order given, also when one before it failed.

    Args:
        *p: The members.
        enabled: Whether `persist` writes; `restore` always restores.

    Raises:
        TypeError: If a member is not a `Persistence`.
    """

    def __init__(self, *p: Persistence, enabled: bool = True) -> None:
        for member in p:
            # A PolicyPersistence is the likely wrong guess, and the type checker may not be listening.
            if not isinstance(member, Persistence):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise TypeError(
                    f"{member!r} is not a Persistence. "
                    f"For a PolicyPersistence use its as_persistence(); else inherit from Persistence."
                )
        self.items = p
        self.enabled = enabled

    def persist(self, event: PersistEvent, world: World) -> None:
        """Let every member persist, if enabled.

        Raises:
            ExceptionGroup: If members failed: their names and their errors.
        """
        if self.enabled:
            self._for_each("persist", lambda member: member.persist(event, world))

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Let every member restore, enabled or not.

        Raises:
            ExceptionGroup: If members failed: their names and their errors.
        """
        self._for_each("restore", lambda member: member.restore(event, world))

    def _for_each(self, verb: str, apply: Callable[[Persistence], None]) -> None:
        failed: list[tuple[str, Exception]] = []
        for member in self.items:
            try:
                apply(member)
            except Exception as error:  # noqa: BLE001 - every member is tried; nothing is swallowed
                failed.append((type(member).__name__, error))
        if failed:
            told = "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in failed)
            raise ExceptionGroup(
                f"{len(failed)} of {len(self.items)} members failed to {verb}: {told}",
                [error for _, error in failed],
            )
