"""Saves that fail without strace's help, and that meet each other."""

import errno
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter

pytestmark = pytest.mark.processes

LARGE = """
import pickle, sys
from rlx_snapshot import Snapshotter
directory, memory = sys.argv[1], bytearray(9 << 20)
snapshotter = Snapshotter(directory, background=True, durability="rename")
def save(itr):
    snapshotter.save_itr_params(itr, (itr, pickle.PickleBuffer(memory)))
    snapshotter.wait()
"""


@pytest.mark.parametrize(
    "code", [errno.ENOSPC, errno.EIO, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.EIO]
)
def test_failing_fsync_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """An error of fsync, where late write errors appear, raises and leaves the old snapshot alone."""
    snapshotter = Snapshotter(tmp_path)
    snapshotter.save_itr_params(1, "old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _failing(code))
        with pytest.raises(OSError, match=re.escape(os.strerror(code))):
            snapshotter.save_itr_params(2, "new")
    assert (snapshotter.load(tmp_path), snapshotter.last_committed) == ("old", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


@pytest.mark.parametrize("size", [10, 9 << 20])
def test_full_disk_names_the_file_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The error says what could not be saved, and what to do."""
    with Snapshotter(tmp_path, background=True) as snapshotter:
        snapshotter.save_itr_params(1, "old")
        snapshotter.wait()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", _failing(errno.ENOSPC))
            snapshotter.save_itr_params(2, pickle.PickleBuffer(bytearray(size)))
            with pytest.raises(OSError, match=r"while saving: free some space.*params\.pkl'") as caught:
                snapshotter.wait()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "params.pkl"))
    assert snapshotter.load(tmp_path) == "old"


def test_unwritable_directory_keeps_the_class_of_the_error(tmp_path: Path) -> None:
    """A directory that was removed meanwhile is still a FileNotFoundError."""
    snapshotter = Snapshotter(tmp_path / "run")
    snapshotter.save_itr_params(1, "old")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="the directory is gone"):
        snapshotter.save_itr_params(2, "new")


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a POSIX thing")
def test_file_size_limit_of_every_size(tmp_path: Path) -> None:
    """However few bytes fit, the save raises and the old snapshot stays whole."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from rlx_snapshot import Snapshotter\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "s = Snapshotter(sys.argv[1]); s.save_itr_params(1, 'old')\n"
        "size = Path(sys.argv[1], 'params.pkl').stat().st_size\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "for limit in range(size):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))\n"
        "    try: s.save_itr_params(2, 'new'); sys.exit(f'{limit} bytes were enough')\n"
        "    except OSError: pass\n"
        "    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "    assert s.load(sys.argv[1]) == 'old', limit\n"
        "s.save_itr_params(3, 'new'); print(s.load(sys.argv[1]), len(list(Path(sys.argv[1]).iterdir())))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "new 1"


def test_two_writers_in_one_directory_never_mix(tmp_path: Path) -> None:
    """Processes that save to one file at once leave one whole snapshot and no temporary file."""
    code = (
        "import sys; from rlx_snapshot import Snapshotter\n"
        "s = Snapshotter(sys.argv[1], durability='rename')\n"
        "for itr in range(150): s.save_itr_params(itr, [sys.argv[2]] * 500)\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    assert Snapshotter(tmp_path).load(tmp_path) in (["a"] * 500, ["b"] * 500)
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a POSIX thing")
def test_file_size_limit_of_a_file_that_is_patched(tmp_path: Path) -> None:
    """Wherever in a large file the limit lies, the save raises, and the last reported snapshot loads."""
    code = LARGE + (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "limits = [soft, soft, soft, 0, 1, 4096, 5 << 20, soft, soft, soft, 9 << 20, (9 << 20) + 5000, soft]\n"
        "for itr, limit in enumerate(limits):\n"
        "    memory[:100] = memory[-100:] = bytes([itr]) * 100\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))\n"
        "    try: save(itr); assert limit == soft, limit; newest = itr, bytes(memory)\n"
        "    except OSError: assert limit != soft\n"
        "    finally: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "    found = Snapshotter(directory).load(directory)\n"
        "    assert (found[0], bytes(found[1])) == newest, (itr, limit)\n"
        "snapshotter.close(); print(newest[0])\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "a"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.stderr.count("AssertionError")) == ("12", 0), result.stderr[-2000:]
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


def test_two_writers_of_large_states_never_mix(tmp_path: Path) -> None:
    """Each patches files of its own, though they share one name."""
    code = LARGE + (
        "for itr in range(25):\n"
        "    memory[:] = sys.argv[2].encode() * len(memory) if itr == 0 else memory\n"
        "    memory[itr << 12 : (itr + 1) << 12] = (sys.argv[2].upper()).encode() * 4096\n"
        "    save(itr)\n"
        "snapshotter.close()\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), name]) for name in "ab"]
    assert [process.wait() for process in processes] == [0, 0]
    itr, contents = Snapshotter(tmp_path).load(tmp_path)
    letters = set(bytes(contents).decode())
    assert (itr, letters) in ((24, {"a", "A"}), (24, {"b", "B"}))
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]


def _failing(code: int) -> Callable[[Any], None]:
    def fail(_: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail
