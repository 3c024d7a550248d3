"""Runs of Stable-Baselines3 that are killed again and again end bit for bit like ones that were left alone."""

import csv
import importlib
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

from kill_harness import LONGER, SOAK, TEST_SECONDS, Killer, Program, finish, require_kills, unbroken_runs
from rlx_runner._checkpoint.compare import differences
from rlx_snapshot import Snapshotter

pytestmark = pytest.mark.timeout(TEST_SECONDS)

KILLS = 10 if SOAK else 3
SCRIPT = Path(__file__).with_name("resumable_sb3.py")
WALL_CLOCK = re.compile(r"\['t'\]$|\.t_start$|\.clock$|\.start_time$|\.episode_times\[")
TIMED_COLUMNS = {"time/fps", "time/time_elapsed", "t"}


@dataclass(frozen=True)
class Training(Program):
    """A training of SB3, which continues by itself where its folder holds a snapshot."""

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the run in `folder`, or continues it."""
        *start, algorithm, timesteps, every = [
            *super().command(folder, ())[: -3 - len(self.options)],
            *self.options[:3],
        ]
        return [*start, algorithm, str(folder), timesteps, every, *self.options[3:], *more]


def training(algorithm: str, timesteps: int, *options: str) -> Training:
    """Return a training of small nets on a small task."""
    return Training(SCRIPT, (algorithm, str(LONGER * timesteps), *options))


PPO = training("ppo", 1280, "128", "normalize", "monitor", "log", "evaluate")
PPO_IN_WORKERS = training("ppo", 1280, "128", "workers", "normalize", "sde", "monitor")
A2C = training("a2c", 1600, "200", "workers", "stack", "log")
SAC = training("sac", 300, "30", "sde", "log")
TD3 = training("td3", 640, "50", "normalize", "monitor")
DQN = training("dqn", 1200, "100", "evaluate", "log")
TRAININGS = [
    pytest.param(each, id=name, marks=() if each in (PPO, SAC, DQN) else pytest.mark.slow)
    for name, each in {
        "PPO": PPO,
        "PPO in workers": PPO_IN_WORKERS,
        "A2C": A2C,
        "SAC": SAC,
        "TD3": TD3,
        "DQN": DQN,
    }.items()
]
MUTANTS = [
    pytest.param(SAC, "sb3-buffer-pointer-lost", id="the buffer's pointer"),
    pytest.param(SAC, "no-numpy-random-state", id="numpy's generator"),
    pytest.param(DQN, "events-not-cut", id="TensorBoard's files"),
    pytest.param(A2C, "workers-lost", id="environments in workers"),
    pytest.param(PPO, "texts-lost", id="text logs"),
    pytest.param(PPO, "no-torch-random-state", id="torch's generator", marks=pytest.mark.slow),
    pytest.param(TD3, "sb3-normalizer-lost", id="returns of VecNormalize", marks=pytest.mark.slow),
    pytest.param(PPO, "sb3-best-lost", id="the best return", marks=pytest.mark.slow),
]

Twin = Callable[[Training], Path]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return the folder of a run that nobody disturbed; each training runs once."""
    return unbroken_runs(tmp_path_factory.mktemp)


def compare(twin: Path, folder: Path) -> list[str]:
    """Name what differs between two runs: the last snapshots, the weights, and every row of every log."""
    left, right = (snapshot(each) for each in (twin, folder))
    found = [path for path in differences("", left, right) if not WALL_CLOCK.search(path)]
    logs = [rows(each) for each in (twin, folder)]
    assert logs[0]["final.pt"]
    return found + sorted(
        name for name in logs[0].keys() | logs[1].keys() if logs[0].get(name) != logs[1].get(name)
    )


def snapshot(folder: Path) -> dict[str, Any]:
    """Return the content of the last snapshot, without the logs."""
    saved = Snapshotter(folder).load(folder)
    parts = {name: part["object"] for name, part in saved["parts"].items() if "object" in part}
    return {"steps": saved["steps_done"], "random": saved["exact"]["random"], **parts}


def rows(folder: Path) -> dict[str, Any]:
    """Return what the files of a run say, by name."""
    found: dict[str, Any] = {"final.pt": (folder / "final.pt").read_bytes()}
    for path in folder.rglob("*.csv"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
        found[path.name] = [timeless(row) for row in csv.DictReader(lines)]
    for path in folder.rglob("progress.json"):
        found[path.name] = [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    for path in folder.rglob("log.txt"):
        found[path.name] = re.sub(r"Logging to .*|\|\s+(fps|time_elapsed).*|[ -]+", "", path.read_text())
    for path in folder.rglob("best_model.zip"):
        found[path.name] = zipfile.ZipFile(path).read("policy.pth")
    if any(folder.rglob("*tfevents*")):
        found["tensorboard"] = list(scalars(folder / "logs"))
    return found


def timeless(row: dict[str, Any]) -> dict[str, Any]:
    """Leave out wall-clock times."""
    return {name: value for name, value in sorted(row.items()) if name not in TIMED_COLUMNS}


def scalars(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Yield every scalar that TensorBoard's own reader finds."""
    module: Any = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    reader = module.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    for tag in sorted(set(reader.Tags()["scalars"]) - TIMED_COLUMNS):
        yield from ((tag, event.step, event.value) for event in reader.Scalars(tag))


@pytest.mark.parametrize("program", TRAININGS)
def test_a_killed_run_ends_like_an_unbroken_one(program: Training, unbroken: Twin, tmp_path: Path) -> None:
    """A kill in the launch, more later: weights, buffers, environments, callbacks, random states and logs are equal."""
    killer = Killer(seed=11)
    killer.kill_before_progress(program, tmp_path / "run", kills=1)
    require_kills(killer.kill_after_progress(program, tmp_path / "run", KILLS), KILLS)
    finish(program, tmp_path / "run", hash_seed=2)
    assert compare(unbroken(program), tmp_path / "run") == []


@pytest.mark.slow
@pytest.mark.parametrize(("program", "mutant"), MUTANTS)
def test_a_fault_is_noticed(program: Training, mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The comparison above fails for a resume that leaves one thing out."""
    faulty = replace(program, mutant=mutant)
    killer = Killer(
        seed=7
    )  # the first snapshots hold what the script begins with, so that nothing of it can be lost
    assert killer.kill_after_progress(faulty, tmp_path / "run", 1, after=5) == 1
    finish(faulty, tmp_path / "run")
    assert compare(unbroken(program), tmp_path / "run") != []
