"""Arrays over files: those restored from a snapshot can be tracked, others may change behind our back."""

import sys
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter
from rlx_snapshot._saving.dirty_pages import KernelTracker

np: Any = pytest.importorskip("numpy", reason="needs numpy")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells which pages were written")

MIB = 1 << 20


@pytest.fixture
def tracker() -> KernelTracker:
    """A tracker, where the kernel has one to offer."""
    try:
        return KernelTracker()
    except (OSError, KeyError) as error:
        pytest.skip(f"this kernel cannot track changes: {error}")


def piece(array: Any) -> tuple[int, int]:
    """Address and length of an array."""
    return array.ctypes.data, array.nbytes


@pytest.mark.parametrize("name", ["params.pkl", "itr_3.pkl", "replay.dat"])
def test_a_users_own_file_is_never_trusted(tmp_path: Path, tracker: KernelTracker, name: str) -> None:
    """Whatever it is called: what others write to the file shows in the pages that nobody here has written."""
    (tmp_path / name).write_bytes(bytes(4 * MIB))
    array = np.memmap(tmp_path / name, dtype="u1", mode="c")
    array[::4096] = 1
    assert [tracker.changes([piece(array)]) for _ in range(3)] == [[None]] * 3
    tracker.close()


@pytest.mark.parametrize("name", ["params.pkl", "policy of the year.pkl"])
def test_arrays_restored_from_a_snapshot_are_tracked(
    tmp_path: Path, tracker: KernelTracker, name: str
) -> None:
    """A snapshot is known by its contents, also after it was replaced or removed."""
    Snapshotter(tmp_path).save_itr_params(0, np.zeros(8 * MIB, dtype="u1"))
    array = Snapshotter(tmp_path).load(tmp_path, verify="index")
    if name != "params.pkl":
        (tmp_path / "params.pkl").rename(tmp_path / name)
    (tmp_path / name).unlink()
    tracker.changes([piece(array)])
    array[5 * MIB] = 1
    (ranges,) = tracker.changes([piece(array)])
    assert ranges is not None
    assert sum(last - first for first, last in ranges) <= 8192
    tracker.close()
