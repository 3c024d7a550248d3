"""Systems that lack what Linux has, simulated: everything works, if more slowly."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter, verify
from rlx_snapshot._saving.dirty_pages import NoTracker, tracker_for
from rlx_snapshot._settings import Durability

MIB = 1 << 20


@pytest.fixture(params=["windows", "macos", "old linux"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take away what the named system does not have."""
    system: str = request.param
    if system == "windows":
        monkeypatch.setattr("rlx_snapshot._platform.WINDOWS", True)
        monkeypatch.setattr("rlx_snapshot._platform.LINUX", False)
        for missing in ("writev", "pwritev", "link", "O_NONBLOCK"):
            monkeypatch.delattr(os, missing)
        monkeypatch.setitem(sys.modules, "fcntl", None)
    elif system == "macos":
        monkeypatch.setattr("rlx_snapshot._platform.LINUX", False)
        fcntl: Any = sys.modules["fcntl"]
        monkeypatch.delattr(fcntl, "F_SETLEASE")
    else:
        monkeypatch.setattr("rlx_snapshot._saving.dirty_pages.platform.machine", lambda: "riscv64")
    return system


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")
@pytest.mark.usefixtures("elsewhere")
class TestElsewhere:
    @pytest.mark.parametrize("background", [False, True])
    @pytest.mark.parametrize("mode", ["last", "all", "gap_and_last"])
    def test_saves_and_loads(self, tmp_path: Path, mode: str, background: bool) -> None:
        """Large and small states survive replacement, in every mode, and leave nothing behind."""
        replay = bytearray(9 * MIB)
        durability: Durability = "fsync" if mode == "all" else "rename"
        with Snapshotter(tmp_path, mode, 2, background=background, durability=durability) as snapshotter:
            for itr in range(4):
                replay[itr] = itr + 1
                snapshotter.save_itr_params(itr, {"itr": itr, "replay": _Buffer(replay)})
        state = snapshotter.load(tmp_path)
        assert (state["itr"], bytes(state["replay"])) == (3, bytes(replay))
        assert all(path.suffix == ".pkl" and verify(path) for path in tmp_path.iterdir())

    def test_nothing_is_tracked(self) -> None:
        """Where the system cannot tell what changed, everything is copied."""
        assert isinstance(tracker_for("auto"), NoTracker)


def test_loaded_file_is_not_mapped_where_that_would_block_saving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows a mapped file cannot be replaced, so nothing is mapped there."""
    import mmap

    monkeypatch.setattr("rlx_snapshot._platform.WINDOWS", True)
    monkeypatch.setattr("rlx_snapshot._platform.LINUX", False)
    Snapshotter(tmp_path).save_itr_params(0, _Buffer(bytearray(4 * MIB)))
    monkeypatch.setattr(mmap, "mmap", _NoMapping)
    assert len(Snapshotter(tmp_path).load(tmp_path, verify="index")) == 4 * MIB


class _NoMapping:
    """Stands for `mmap.mmap`, and cannot be made."""

    def __init__(self, *_: object, **__: object) -> None:
        raise AssertionError("a file is mapped")


class _Buffer:
    """Pickles its bytes as one large buffer, as arrays do."""

    def __init__(self, data: bytearray) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        import pickle

        return bytearray, (pickle.PickleBuffer(self._data),)
