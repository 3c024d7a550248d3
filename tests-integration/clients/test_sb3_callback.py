"""PPO of Stable-Baselines3 with a small callback: killed, resumed, and the same to the last bit."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

SCRIPT = Path(__file__).with_name("train_sb3.py")
ROLLOUTS = 6


def train(folder: Path, *options: str) -> list[str]:
    """Train to the end and return what the script said."""
    command = [sys.executable, str(SCRIPT), str(folder), str(ROLLOUTS), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def train_and_kill(folder: Path, rollout: int) -> None:
    """Train until the snapshot before `rollout` is written, and kill."""
    command = [sys.executable, str(SCRIPT), str(folder), str(ROLLOUTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.split() == ["rollout", str(rollout)]:
                break
        process.kill()


def outcome(folder: Path) -> tuple[list[str], bytes]:
    """Return the rows of the log without their times, and the bytes of the trained weights."""
    rows = [line.split(",") for line in (folder / "progress.csv").read_text().splitlines()]
    timeless = [index for index, name in enumerate(rows[0]) if "time" not in name]
    return [",".join(row[index] for index in timeless) for row in rows], (folder / "final.pt").read_bytes()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    train(folder)
    return folder


@pytest.mark.parametrize("rollout", [1, 4])
def test_resumed_run_is_the_unbroken_one(tmp_path: Path, unbroken: Path, rollout: int) -> None:
    """Weights and logged rows are the unbroken run's, bit for bit, and no row is there twice."""
    train_and_kill(tmp_path, rollout)
    said = train(tmp_path)
    assert said[0].startswith("restored")
    assert int(said[0].split()[1]) >= rollout
    assert outcome(tmp_path) == outcome(unbroken)


def test_forgotten_random_states_are_noticed(tmp_path: Path, unbroken: Path) -> None:
    """A resume that leaves out the random states ends elsewhere: the comparison can fail."""
    train_and_kill(tmp_path, 2)
    train(tmp_path, "forget")
    assert outcome(tmp_path)[1] != outcome(unbroken)[1]
