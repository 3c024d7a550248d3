"""Which file is loaded where there are several, and falling back from damage."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import (
    DamagedSnapshotError,
    SnapshotFallbackWarning,
    SnapshotNotFoundError,
    Snapshotter,
    describe,
    load_untrusted,
    verify,
)
from rlx_snapshot._storage.selection import candidates


def damage(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x20
    path.write_bytes(data)


def all_saved(directory: Path, count: int) -> Snapshotter:
    """A snapshotter with a file for each iteration."""
    snapshotter = Snapshotter(directory, "all")
    for itr in range(count):
        snapshotter.save_itr_params(itr, {"itr": itr})
    return snapshotter


class TestFallback:
    def test_last_passes_over_damaged_files_with_a_warning(self, tmp_path: Path) -> None:
        """The newest intact snapshot is loaded, and the warning names what was passed over."""
        snapshotter = all_saved(tmp_path, 12)
        damage(tmp_path / "itr_11.pkl")
        damage(tmp_path / "itr_10.pkl")
        with pytest.warns(
            SnapshotFallbackWarning, match=r"loaded .*itr_9\.pkl.*itr_11\.pkl.*itr_10\.pkl"
        ) as caught:
            assert snapshotter.load(tmp_path) == {"itr": 9}
        assert caught[0].filename == __file__

    def test_damaged_number_is_an_error(self, tmp_path: Path) -> None:
        """Who asks for an iteration by number gets that one or an error."""
        snapshotter = all_saved(tmp_path, 3)
        damage(tmp_path / "itr_2.pkl")
        with pytest.raises(DamagedSnapshotError, match=r"itr_2\.pkl is damaged"):
            snapshotter.load(tmp_path, 2)

    def test_nothing_intact_is_an_error(self, tmp_path: Path) -> None:
        """If all are damaged, the error is about the newest."""
        snapshotter = all_saved(tmp_path, 2)
        damage(tmp_path / "itr_0.pkl")
        damage(tmp_path / "itr_1.pkl")
        with pytest.raises(DamagedSnapshotError, match=r"itr_1\.pkl is damaged"):
            snapshotter.load(tmp_path)

    def test_damaged_latest_file_falls_back_to_a_numbered_one(self, tmp_path: Path) -> None:
        """With mode gap_and_last a damaged params.pkl costs the iterations since the gap."""
        snapshotter = Snapshotter(tmp_path, "gap_and_last", 4)
        for itr in range(7):
            snapshotter.save_itr_params(itr, itr)
        damage(tmp_path / "params.pkl")
        with pytest.warns(SnapshotFallbackWarning, match=r"itr_4\.pkl"):
            assert snapshotter.load(tmp_path) == 4


class TestLatestBesideNumbered:
    def test_iteration_inside_the_file_decides(self, tmp_path: Path) -> None:
        """A params.pkl older than a numbered file is not the last."""
        Snapshotter(tmp_path, "last").save_itr_params(3, "old")
        all_saved(tmp_path, 6)
        assert Snapshotter(tmp_path).load(tmp_path) == {"itr": 5}

    def test_first_may_be_the_replaced_file(self, tmp_path: Path) -> None:
        """Where it alone holds an older iteration, it is the first."""
        Snapshotter(tmp_path, "last").save_itr_params(3, "old")
        Snapshotter(tmp_path, "all").save_itr_params(8, "new")
        assert Snapshotter(tmp_path).load(tmp_path, "first") == "old"

    def test_foreign_latest_file_counts_as_last(self, tmp_path: Path) -> None:
        """Another program's params.pkl does not say its iteration, and is taken as the newest."""
        all_saved(tmp_path, 3)
        (tmp_path / "params.pkl").write_bytes(pickle.dumps("foreign"))
        assert Snapshotter(tmp_path).load(tmp_path) == "foreign"

    def test_number_finds_the_replaced_file(self, tmp_path: Path) -> None:
        """The iteration that params.pkl holds can be asked for by number, others cannot."""
        snapshotter = Snapshotter(tmp_path, "last")
        snapshotter.save_itr_params(5, "five")
        assert snapshotter.load(tmp_path, 5) == "five"
        with pytest.raises(SnapshotNotFoundError, match=r"iteration 4 .* \(it has params\.pkl\)"):
            snapshotter.load(tmp_path, 4)


@pytest.mark.parametrize("itr", ["foo", "-1", "1.0", None, 2.0, b"last"])
def test_anything_but_a_number_first_or_last_is_a_value_error(tmp_path: Path, itr: Any) -> None:
    """Nothing is guessed from a value of another kind."""
    with pytest.raises(ValueError, match=r"itr is .*; it must be an iteration number, 'first' or 'last'"):
        all_saved(tmp_path, 3).load(tmp_path, itr)


@pytest.mark.parametrize("option", ["snapshot_gap", "keep"])
def test_counts_are_whole_numbers(tmp_path: Path, option: str) -> None:
    """The message has the option's name and the value."""
    options: dict[str, Any] = {option: 1.5}
    with pytest.raises(TypeError, match=f"{option} is 1.5; it must be a whole number"):
        Snapshotter(tmp_path, "gap", **options)


@pytest.mark.parametrize("call", [describe, verify, load_untrusted, Snapshotter])
def test_what_is_no_path_is_named(call: Callable[[Any], object]) -> None:
    """The message has the value, not a complaint of pathlib's alone."""
    with pytest.raises(TypeError, match="is 5; it must be a path"):
        call(5)


def test_iterations_saved_are_whole_numbers(tmp_path: Path) -> None:
    """An iteration is a number in a file's name."""
    itr: Any = "3"
    with pytest.raises(TypeError, match="itr is '3'; it must be a whole number"):
        Snapshotter(tmp_path, "all").save_itr_params(itr, {})


def test_slips_in_a_path_are_told_from_an_empty_directory(tmp_path: Path) -> None:
    """A directory that is not there, and a file where its directory is wanted, are said to be that."""
    (tmp_path / "itr_3.pkl").touch()
    with pytest.raises(SnapshotNotFoundError, match=r"rnu: there is no such directory$"):
        candidates(tmp_path / "rnu", "last")
    with pytest.raises(
        SnapshotNotFoundError, match=r"itr_3\.pkl: it is a file; pass its directory, .*, and an iter"
    ):
        candidates(tmp_path / "itr_3.pkl", "last")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SnapshotNotFoundError, match=r"empty: nothing was saved there, or another directory was"
    ):
        candidates(tmp_path / "empty", 2)
