"""Run folders under races and failures."""

import subprocess
import sys
from pathlib import Path

import pytest

from rlx_experiment._runs.rundir import make_run_dir, numbered_dirs

RACER = """
import sys
from pathlib import Path
from rlx_experiment._runs.rundir import make_run_dir

sys.stdin.readline()
folder, lock = make_run_dir(Path("runs/exp"), lambda path: (path / "mine").write_text(sys.argv[1]))
print(folder.name, (folder / "mine").read_text() == sys.argv[1])
"""


def test_simultaneous_makers_get_folders_of_their_own() -> None:
    """Processes that ask for one name at once get as many folders, numbered without gaps."""
    count = 12
    racers = [
        subprocess.Popen(
            (sys.executable, "-c", RACER, str(i)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for i in range(count)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate()[0].split() for racer in racers]
    assert all(own == "True" for _, own in answers)
    assert {name for name, _ in answers} == {"exp", *(f"exp_{i}" for i in range(1, count))}
    assert sorted(path.name for path in Path("runs").iterdir()) == sorted(
        name for name, _ in answers
    )  # no temporary folder left


def test_a_failing_fill_leaves_nothing() -> None:
    """If the first files cannot be written, no folder appears and none remains."""

    def fail(path: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        make_run_dir(Path("runs/exp"), fail)
    assert list(Path("runs").iterdir()) == []


def test_existing_folders_are_never_taken() -> None:
    """An empty folder and a plain file of that name count as taken."""
    Path("exp").mkdir()
    Path("exp_1").touch()
    folder, lock = make_run_dir(Path("exp").absolute(), lambda path: None)
    assert folder.name == "exp_2"
    lock.close()


def test_numbered_folders_are_listed_newest_first() -> None:
    """Only the name itself and its numbers count, in the order of numbers."""
    for name in ("exp", "exp_2", "exp_10", "exp_x", "exp_02", "experiment"):
        Path(name).mkdir()
    assert [path.name for path in numbered_dirs(Path("exp").absolute())] == ["exp_10", "exp_2", "exp"]
