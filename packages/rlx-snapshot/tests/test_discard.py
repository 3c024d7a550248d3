"""Going back to an earlier iteration of a run."""

import os
from pathlib import Path

import pytest

from rlx_snapshot import Snapshotter


def names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_later_snapshots_are_put_away(tmp_path: Path) -> None:
    """What is left ends with the iteration to continue from; nothing is lost."""
    snapshotter = Snapshotter(tmp_path, "all")
    for itr in range(12):
        snapshotter.save_itr_params(itr, {"itr": itr})
    snapshotter.discard_after(9)
    assert snapshotter.load(tmp_path, "last") == {"itr": 9}
    assert names(tmp_path / "discarded/1") == ["itr_10.pkl", "itr_11.pkl"]


def test_the_replaced_file_goes_by_the_iteration_inside(tmp_path: Path) -> None:
    """params.pkl of a later iteration does not win over the numbered file that is continued from."""
    snapshotter = Snapshotter(tmp_path, "gap_and_last", 5)
    for itr in range(8):
        snapshotter.save_itr_params(itr, {"itr": itr})
    snapshotter.discard_after(5)
    assert snapshotter.load(tmp_path, "last") == {"itr": 5}
    assert names(tmp_path / "discarded/1") == ["params.pkl"]


def test_what_is_put_away_is_not_committed_any_more(tmp_path: Path) -> None:
    """Who asks what is safe is not told of an iteration that the run went back from."""
    snapshotter = Snapshotter(tmp_path, "all")
    for itr in range(3):
        snapshotter.save_itr_params(itr, {})
    snapshotter.discard_after(2)
    kept = snapshotter.last_committed
    snapshotter.discard_after(1)
    assert (kept, snapshotter.last_committed) == (2, None)


def test_nothing_later_leaves_the_folder_as_it_is(tmp_path: Path) -> None:
    """Continuing from the newest snapshot moves nothing."""
    snapshotter = Snapshotter(tmp_path)
    snapshotter.save_itr_params(3, {})
    snapshotter.discard_after(3)
    assert names(tmp_path) == ["params.pkl"]


def test_each_time_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Going back twice overwrites nothing that was put away."""
    snapshotter = Snapshotter(tmp_path, "all")
    for attempt in (1, 2):
        snapshotter.save_itr_params(0, {})
        snapshotter.save_itr_params(1, {"attempt": attempt})
        snapshotter.discard_after(0)
    assert snapshotter.load(tmp_path / "discarded/1") == {"attempt": 1}
    assert snapshotter.load(tmp_path / "discarded/2") == {"attempt": 2}


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot sync a directory")
def test_what_is_put_away_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new names are on the disk, from the innermost folder to the outermost, before the old ones go."""
    synced: list[Path] = []
    monkeypatch.setattr("rlx_snapshot._storage.storage.sync_directory", synced.append)
    snapshotter = Snapshotter(tmp_path)
    snapshotter.save_itr_params(1, {})
    snapshotter.discard_after(0)
    assert synced == [tmp_path / "discarded/1", tmp_path / "discarded", tmp_path]


@pytest.mark.parametrize(("mode", "kept"), [("all", True), ("gap", False), ("last", True), ("none", False)])
def test_says_what_the_mode_keeps(tmp_path: Path, mode: str, kept: bool) -> None:
    """The answer is that of the mode, before anything is saved."""
    assert Snapshotter(tmp_path, mode, 5).keeps(3) is kept
