"""Runs that are killed and resumed: nothing lost, nothing doubled, in any file, for any reader."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_logging import read_metrics

SHARES = 12
CHOSEN = range(SHARES) if "RLX_SOAK" in os.environ else [random.randrange(SHARES)]
HARNESS = Path(__file__).with_name("kill_harness.py")

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL"),
]


def _sweep(folder: Path, stride: int, offset: int) -> int:
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    command = [sys.executable, str(HARNESS), "sweep", str(folder), str(stride), str(offset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1500)
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


def test_killed_at_a_sample_of_lines(tmp_path: Path) -> None:
    """A run killed at any line of this package and resumed equals an unbroken one in every reader."""
    assert _sweep(tmp_path, 197, random.randrange(197)) > 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("offset", CHOSEN)
def test_killed_at_every_line(tmp_path: Path, offset: int) -> None:
    """The same for every single line that is executed; each of the shares begins at another one."""
    assert _sweep(tmp_path, SHARES, offset) > 3000 // SHARES


def test_killed_from_outside_at_random_moments(tmp_path: Path) -> None:
    """However often a run is killed from outside, each step is there once in the end."""
    epochs = 250
    command = [sys.executable, str(HARNESS), "train", str(tmp_path), str(epochs)]
    for _ in range(6):
        process = subprocess.Popen(command)
        try:
            process.wait(timeout=random.uniform(0.15, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    subprocess.run(command, check=True, timeout=120)
    metrics = read_metrics(tmp_path)
    assert metrics["info/AverageReturn"].steps.tolist() == list(range(epochs))
    assert metrics["update/loss"].steps.tolist() == list(range(3 * epochs))
    assert metrics["info/AverageReturn"].values.tolist() == [epoch / 3 for epoch in range(epochs)]
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == epochs + 1


ACKNOWLEDGE = """
import os, sys
from rlx_logging import make_logger
logger = make_logger("csv,tensorboard", log_dir=sys.argv[1])
for step in range(10**9):
    logger.write("update/gradient_step", step, {"loss": 0.5, "norm": 1.5})
    os.write(1, b"%d\\n" % step)
"""


@pytest.mark.parametrize("repetition", range(3))
def test_no_call_that_returned_is_lost(tmp_path: Path, repetition: int) -> None:
    """Every row whose call had returned when the kill came is in every file."""
    process = subprocess.Popen(
        [sys.executable, "-c", ACKNOWLEDGE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    wanted = random.randrange(1, 3000)
    last = next(int(line) for line in process.stdout if int(line) >= wanted)
    process.kill()
    last = max([last, *(int(line) for line in process.stdout.read().splitlines()[:-1] if line)])
    process.wait()
    process.stdout.close()
    assert read_metrics(tmp_path)["update/loss"].steps.tolist()[: last + 1] == list(range(last + 1))
    (events,) = tmp_path.glob("events*")
    assert len(read_metrics(events)["update/loss"]) > last
    assert len((tmp_path / "progress-update.csv").read_text().splitlines()) > last + 1
