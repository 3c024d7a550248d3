"""Several persistences as one."""

from pathlib import Path

import pytest

from rlx_persistence import (
    FolderWorld,
    Persistence,
    PersistenceGroup,
    PersistEvent,
    PolicyPersistence,
    RestoreEvent,
    World,
)


class Recorder(Persistence):
    """Notes its calls in a shared list."""

    def __init__(self, name: str, calls: list[str]) -> None:
        self.name = name
        self.calls = calls

    def persist(self, event: PersistEvent, world: World) -> None:
        """Note it."""
        self.calls.append(f"persist {self.name}")

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Note it."""
        self.calls.append(f"restore {self.name}")


class FullDisk(Persistence):
    """Fails as a full disk does."""

    def persist(self, event: PersistEvent, world: World) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")

    def restore(self, event: RestoreEvent, world: World) -> None:
        """Fail."""
        raise FileNotFoundError("no buffer.pkl")


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


class TestPersistenceGroup:
    def test_members_are_called_in_order(self, world: FolderWorld) -> None:
        """Persisting and restoring go through the members as they were given."""
        calls: list[str] = []
        group = PersistenceGroup(Recorder("a", calls), Recorder("b", calls))
        group.persist(PersistEvent.PERSIST_POLICY, world)
        group.restore(RestoreEvent.RESTORE_POLICY, world)
        assert calls == ["persist a", "persist b", "restore a", "restore b"]

    def test_disabled_group_only_restores(self, world: FolderWorld) -> None:
        """A disabled group writes nothing, and restores as ever."""
        calls: list[str] = []
        group = PersistenceGroup(Recorder("a", calls), enabled=False)
        group.persist(PersistEvent.PERSIST_POLICY, world)
        group.restore(RestoreEvent.RESTORE_POLICY, world)
        assert calls == ["restore a"]

    def test_failing_member_does_not_stop_the_others(self, world: FolderWorld) -> None:
        """The members behind a failing one are tried too."""
        calls: list[str] = []
        group = PersistenceGroup(FullDisk(), Recorder("b", calls))
        with pytest.raises(ExceptionGroup, match="1 of 2 members failed to persist: FullDisk: OSError"):
            group.persist(PersistEvent.PERSIST_POLICY, world)
        assert calls == ["persist b"]

    def test_every_failing_member_is_named(self, world: FolderWorld) -> None:
        """All errors come out together, each with its member's name and itself inside."""
        outer = PersistenceGroup(FullDisk(), PersistenceGroup(FullDisk()))
        with pytest.raises(ExceptionGroup, match=r"2 of 2 .*FullDisk.*PersistenceGroup.*FullDisk") as caught:
            outer.restore(RestoreEvent.RESTORE_POLICY, world)
        assert isinstance(caught.value.exceptions[0], FileNotFoundError)

    def test_non_member_is_refused_at_once(self) -> None:
        """A PolicyPersistence is not a Persistence; the error says how to make it one."""
        with pytest.raises(TypeError, match="as_persistence"):
            PersistenceGroup(PolicyPersistence())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
