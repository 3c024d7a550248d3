"""Folders to write to and read from."""

from pathlib import Path
from typing import ClassVar

import pytest

from rlx_persistence import FolderWorld, PolicyPersistence


class TestFolderWorld:
    def test_paths_are_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Paths do not move with the working directory."""
        monkeypatch.chdir(tmp_path)
        world = FolderWorld("run", Path("old"))
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert world.persist_path("policy.pt") == str(tmp_path / "run" / "policy.pt")
        assert world.restore_path("policy.pt") == str(tmp_path / "old" / "policy.pt")

    def test_no_restore_directory(self) -> None:
        """Restoring without a folder to restore from is a ValueError, as tianshou's."""
        with pytest.raises(ValueError, match=r"policy\.pt.*no restore_directory"):
            FolderWorld("run").restore_path("policy.pt")

    def test_directories_are_text(self) -> None:
        """Paths given as objects are kept as text, as code that joins them expects."""
        world = FolderWorld(Path("a"), Path("b"))
        here = Path.cwd()
        assert (world.persist_directory, world.restore_directory) == (str(here / "a"), str(here / "b"))


class TestPolicyOfWorld:
    def test_world_without_policy(self, tmp_path: Path) -> None:
        """A checkpoint function of a world that knows no policy says so when called."""
        save = PolicyPersistence().get_save_checkpoint_fn(FolderWorld(tmp_path))
        assert save is not None
        with pytest.raises(ValueError, match="has no policy"):
            save(1, 2, 3)

    def test_algorithm_comes_first(self, tmp_path: Path) -> None:
        """Of a world that knows both (tianshou 2), the algorithm is what is checkpointed."""

        class World2(FolderWorld):
            algorithm: ClassVar[dict[str, object]] = {"weights": [1, 2]}

        save = PolicyPersistence().get_save_checkpoint_fn(World2(tmp_path, tmp_path, policy={"weights": []}))
        assert save is not None
        restored: dict[str, object] = {}
        PolicyPersistence().restore(
            restored, World2(tmp_path, tmp_path), "cpu", filename=Path(save(1, 2, 3)).name
        )
        assert restored == {"weights": [1, 2]}
