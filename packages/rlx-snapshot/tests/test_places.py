"""Snapshots at URLs, through fsspec."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import DamagedSnapshotError, SnapshotFallbackWarning, SnapshotNotFoundError, Snapshotter

fsspec: Any = pytest.importorskip("fsspec", reason="needs fsspec")


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh place in memory, or on the disk through fsspec."""
    return f"memory://{uuid.uuid4().hex}/run" if request.param == "memory" else f"file://{tmp_path}/run"


def names_at(url: str) -> list[str]:
    """Names of all files at a URL, sorted."""
    files, root = fsspec.core.url_to_fs(url)
    return sorted(path.rpartition("/")[2] for path in files.ls(root, detail=False))


def test_saves_and_loads_by_number(url: str) -> None:
    """All iterations are uploaded, and found by number, 'first' and 'last'."""
    snapshotter = Snapshotter(url, "all")
    for itr in range(9, 12):
        snapshotter.save_itr_params(itr, {"itr": itr})
    assert snapshotter.snapshot_dir == url
    assert names_at(url) == ["itr_10.pkl", "itr_11.pkl", "itr_9.pkl"]
    loaded = [Snapshotter(url, "none").load(url, itr)["itr"] for itr in ("first", "10", "last")]
    assert loaded == [9, 10, 11]


def test_background_and_keep_work_remotely(url: str) -> None:
    """The thread uploads; older files are removed once the newer one is there."""
    with Snapshotter(url, "all", background=True, keep=2) as snapshotter:
        for itr in range(5):
            snapshotter.save_itr_params(itr, bytearray(100_000))
    assert names_at(url) == ["itr_3.pkl", "itr_4.pkl"]
    assert snapshotter.last_committed == 4


def test_latest_file_is_replaced(url: str) -> None:
    """In mode last there is one file, also found by the iteration inside."""
    snapshotter = Snapshotter(url)
    for itr in range(3):
        snapshotter.save_itr_params(itr, itr)
    assert names_at(url) == ["params.pkl"]
    assert (snapshotter.load(url), snapshotter.load(url, 2)) == (2, 2)


def test_missing_iteration_says_what_is_there(url: str) -> None:
    """The error names the place and the files."""
    snapshotter = Snapshotter(url, "all")
    snapshotter.save_itr_params(3, 3)
    with pytest.raises(SnapshotNotFoundError, match=r"iteration 7 in .*itr_3\.pkl"):
        snapshotter.load(url, 7)


def test_damaged_newest_falls_back(url: str) -> None:
    """An older file is downloaded where the newest is damaged."""
    snapshotter = Snapshotter(url, "all")
    for itr in range(3):
        snapshotter.save_itr_params(itr, itr)
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/itr_2.pkl", files.cat_file(f"{root}/itr_2.pkl")[:-1])
    with pytest.warns(SnapshotFallbackWarning, match=r"itr_1\.pkl"):
        assert snapshotter.load(url) == 1


def test_later_snapshots_are_put_away(url: str) -> None:
    """Going back keeps what is left behind, each time in a folder of its own."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for attempt in (1, 2):
        for itr in range(5):
            snapshotter.save_itr_params(itr, (attempt, itr))
        assert snapshotter.discard_after(2)
        assert not snapshotter.discard_after(2)
        assert (snapshotter.load(url), names_at(f"{url}/discarded/{attempt}")) == (
            (attempt, 2),
            ["itr_4.pkl", "params.pkl"],
        )
    assert snapshotter.load(f"{url}/discarded/1") == (1, 4)


@pytest.mark.parametrize("itr", ["foo", "-1", "1.0", None, 2.0, b"last"])
def test_anything_but_a_number_first_or_last_is_a_value_error(url: str, itr: Any) -> None:
    """A URL takes what a directory takes."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for saved in range(3):
        snapshotter.save_itr_params(saved, saved)
    with pytest.raises(ValueError, match=r"itr is .*: it must be an iteration number, 'first' or 'last'"):
        snapshotter.load(url, itr)


def test_messages_name_the_url(url: str) -> None:
    """Errors and warnings say where the file is, not where it was copied to."""
    snapshotter = Snapshotter(url, "gap_and_last", 2)
    for saved in range(4):
        snapshotter.save_itr_params(saved, saved)
    with pytest.raises(SnapshotNotFoundError, match=f"iteration 1 in {url} "):
        snapshotter.load(url, 1)
    files, root = fsspec.core.url_to_fs(url)
    files.pipe_file(f"{root}/params.pkl", files.cat_file(f"{root}/params.pkl")[:-1])
    with pytest.warns(SnapshotFallbackWarning, match=rf"loaded {url}/itr_2\.pkl, .*{url}/params") as caught:
        assert snapshotter.load(url) == 2
    assert caught[0].filename == __file__
    files.pipe_file(f"{root}/itr_2.pkl", files.cat_file(f"{root}/itr_2.pkl")[:-1])
    with pytest.raises(DamagedSnapshotError, match=rf"{url}/itr_2\.pkl is damaged"):
        snapshotter.load(url, 2)


@pytest.mark.processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_that_ends_takes_nothing_away(tmp_path: Path) -> None:
    """The directory that files are uploaded from belongs to the process that made it."""
    program = f"""
import os, sys
from rlx_snapshot import Snapshotter
snapshotter = Snapshotter("file://{tmp_path}/run")
child = os.fork()
if child == 0:
    sys.exit()
os.waitpid(child, 0)
snapshotter.save_itr_params(0, 7)
print(snapshotter.load("file://{tmp_path}/run"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("7\n", "")


def test_missing_fsspec_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without fsspec the error says what to install."""
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(ModuleNotFoundError, match=r"rlx-snapshot\[fsspec\]"):
        Snapshotter("memory://nowhere")
