"""Temporary files go with their writers, and not before."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_snapshot import Snapshotter

WRITER = """
import sys
from pathlib import Path
from rlx_snapshot._storage.temporary import create_locked

path, file = create_locked(Path(sys.argv[1]))
file.write(b"half a snapshot")
print(path.name, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody can remove an open file")
def test_temporary_file_of_a_living_writer_stays_until_it_is_killed(tmp_path: Path) -> None:
    """Another process sweeps what a dead writer left, and leaves a living one alone."""
    importlib.import_module("fcntl")
    command = [sys.executable, "-c", WRITER, str(tmp_path / "params.pkl")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        name = writer.stdout.readline().strip()
        Snapshotter(tmp_path).save_itr_params(0, "beside a living writer")
        names_beside_the_living = sorted(path.name for path in tmp_path.iterdir())
        writer.kill()
    Snapshotter(tmp_path).save_itr_params(1, "after its death")
    assert names_beside_the_living == sorted([name, "params.pkl"])
    assert [path.name for path in tmp_path.iterdir()] == ["params.pkl"]
