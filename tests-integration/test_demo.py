"""The demo tells equal runs from others."""

import subprocess
import sys
from pathlib import Path

import pytest

from kill_harness import EXAMPLES, HERE, Program, finish

COMPARE = """
import sys
from pathlib import Path
from demo import Training, compare
script, left, right = map(Path, sys.argv[1:])
sys.exit(bool(compare(Training(script, left, 6, 60), Training(script, right, 6, 60))))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a short run."""
    return probe(tmp_path_factory.mktemp("run") / "one", seed=1)


def probe(folder: Path, *, seed: int) -> Path:
    """Run the probe for a few epochs."""
    options = ("--n-epochs", "6", "--logger", "tensorboard", "--seed", str(seed))
    finish(Program(HERE / "probe_run.py", options), folder)
    return folder


def compared(left: Path, right: Path) -> subprocess.CompletedProcess[str]:
    """Let the demo compare two runs of the probe."""
    command = [sys.executable, "-c", COMPARE, str(HERE / "probe_run.py"), str(left), str(right)]
    return subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=False)


def test_equal_runs_are_equal(run: Path, tmp_path: Path) -> None:
    """Two runs with one seed agree in every part, and the log is one of them."""
    result = compared(run, probe(tmp_path / "again", seed=1))
    assert result.returncode == 0, result.stderr
    assert "DIFFER" not in result.stdout
    assert "log (TensorBoard)" in result.stdout


def test_other_runs_are_told_apart(run: Path, tmp_path: Path) -> None:
    """A run with another seed differs, and the demo says in which parts."""
    result = compared(run, probe(tmp_path / "other", seed=2))
    assert result.returncode == 1, result.stderr
    verdicts = {
        line.split("  ")[2].strip(): "DIFFER" in line
        for line in result.stdout.splitlines()
        if "values" in line
    }
    assert verdicts["policy"]
    assert verdicts["random states"]
    assert not verdicts["environment"]
