"""Runs under kill -9, races and full disks."""

import json
import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rlx_experiment import Run
from rlx_experiment._cli import main

pytestmark = [pytest.mark.processes, pytest.mark.skipif(os.name == "nt", reason="POSIX processes")]

RunScript = Callable[..., "subprocess.CompletedProcess[str]"]

TRAINER = """
import sys, time
from pathlib import Path
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="runs/exp", use_existing_dir=True)
def exp(ctxt, seed):
    print("running", flush=True)
    done = Path(ctxt.snapshot_dir, "done")
    while not done.exists() and "forever" in sys.argv:
        time.sleep(0.001)

exp(seed=7)
"""

SLOW_WRITER = """
from rlx_experiment import _atomic
def write_bytes(path, data, *, durable=False):
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(0.02)
        file.write(data[len(data) // 2 :])
_atomic.write_bytes = write_bytes
"""


def last_change() -> int:
    """Return when something was last written in the run folder."""
    times = [0]
    for path in (Path("runs/exp"), *Path("runs").glob("exp/*")):
        try:
            times.append(path.stat().st_mtime_ns)
        except FileNotFoundError:  # a temporary name, gone by now
            continue
    return max(times)


def start(script: Path) -> "subprocess.Popen[bytes]":
    """Start a run and return at its first trace in its folder."""
    before = last_change()
    process = subprocess.Popen((sys.executable, str(script), "forever"), stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while last_change() == before:
        assert time.monotonic() < deadline
        assert process.poll() is None
    return process


def launch_time(script: Path) -> float:
    """Return how many seconds pass from the first trace of a run to its function."""
    with start(script) as process:
        began = time.perf_counter()
        assert process.stdout is not None
        process.stdout.read(1)
        took = time.perf_counter() - began
        process.kill()
    return took


def settled_state() -> str:
    """Return the state of the run once a child that was just being forked, and so held the lock, has gone."""
    deadline = time.monotonic() + 10
    while (state := Run.open("runs/exp").status.state) in ("starting", "running"):
        assert time.monotonic() < deadline
    return state


def broken_files(folder: Path) -> list[str]:
    """Return the JSON files of a run that cannot be read."""
    broken: list[str] = []
    for path in folder.glob("*.json"):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            broken.append(path.name)
    return broken


def kill_many(source: str, times: int) -> tuple[list[str], set[str]]:
    """Kill launches at random moments; return the broken files that were found, and the states of the runs."""
    script = Path("script.py")
    script.write_text(source)
    window = launch_time(script)
    moments = random.Random(0)
    broken: list[str] = []
    states: set[str] = set()
    for _ in range(times):
        with start(script) as process:
            until = time.perf_counter() + moments.uniform(0, 1.2 * window)
            while time.perf_counter() < until:
                pass
            process.kill()
        broken = broken_files(Path("runs/exp"))
        if broken:
            break
        states.add(settled_state())
    return broken, states


MANY = 1000 if "RLX_SOAK" in os.environ else 200


@pytest.mark.parametrize(
    "times", [12, pytest.param(MANY, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])]
)
def test_kill_9_at_any_moment_leaves_a_true_and_usable_folder(times: int) -> None:
    """No file is half-written, the state is crashed and nothing else, and the run continues to its end."""
    broken, states = kill_many(TRAINER, times)
    assert broken == []
    assert states == {"crashed"}
    subprocess.run((sys.executable, "script.py"), check=True, timeout=60)
    run = Run.open("runs/exp")
    assert (run.status.state, run.arguments) == ("finished", {"seed": 7})
    assert main(["gc", "runs", "--remove"]) == 0
    assert not list(Path("runs").rglob(".*.tmp"))


def test_the_kill_test_finds_files_that_are_written_in_place() -> None:
    """With a writer that is not atomic, the same kills leave half a file."""
    broken, _ = kill_many(TRAINER.replace("@wrap", f"{SLOW_WRITER}\n@wrap"), 12)
    assert broken


FORKS = """
import os, sys
from pathlib import Path
from rlx_experiment import wrap_experiment

@wrap_experiment(archive_launch_repo=False)
def exp(ctxt):
    Path(ctxt.snapshot_dir, "mine").touch(exist_ok=False)

gate, opener = os.pipe()
children = []
for _ in range(int(sys.argv[1])):
    if (child := os.fork()) == 0:
        os.close(opener)
        os.read(gate, 1)
        try:
            exp()
        except BaseException:
            os._exit(1)
        os._exit(0)
    children.append(child)
os.close(opener)
print(sum(os.waitpid(child, 0)[1] != 0 for child in children))
"""


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_simultaneous_launches_of_one_name(count: int) -> None:
    """As many launches, let go at one moment, have as many folders, all finished."""
    Path("script.py").write_text(FORKS)
    command = (sys.executable, "-W", "ignore", "script.py", str(count))
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert result.stdout == "0\n", result.stderr
    folders = sorted(Path("data/local/experiment").iterdir())
    assert len(folders) == len(list(Path("data/local/experiment").glob("exp*/mine"))) == count
    assert {Run.open(folder).status.state for folder in folders} == {"finished"}


FULL = """
import resource, sys
from rlx_experiment import wrap_experiment

@wrap_experiment
def exp(ctxt):
    print("ran")

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), -1))
exp()
"""


@pytest.mark.parametrize("limit", [0, 20, 100, 250, 600])
def test_a_full_disk_during_the_launch(run_script: RunScript, limit: int) -> None:
    """Wherever in the launch writing fails, there is an error, the function did not run, and no folder is left."""
    subprocess.run(("git", "init", "-q"), check=True)
    result = run_script(FULL, str(limit))
    assert result.returncode == 1
    assert "OSError: [Errno 27] File too large" in result.stderr
    assert "ran" not in result.stdout
    assert list(Path("data/local/experiment").iterdir()) == []
    assert run_script(FULL, "100000000").returncode == 0


def test_a_full_disk_at_the_end(run_script: RunScript) -> None:
    """A run that cannot write its end does not look finished."""
    script = textwrap.dedent(FULL).replace(
        'print("ran")', "resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1))"
    )
    result = run_script(script, "100000000")
    assert result.returncode == 1
    assert Run.open("data/local/experiment/exp").status.state == "crashed"


def test_a_full_disk_does_not_hide_why_a_run_failed(run_script: RunScript) -> None:
    """The function's own error is the one that is raised; that it could not be recorded is a note on it."""
    script = textwrap.dedent(FULL).replace(
        'print("ran")', "resource.setrlimit(resource.RLIMIT_FSIZE, (0, -1)); raise RuntimeError('lost')"
    )
    result = run_script(script, "100000000")
    *_, error, note = result.stderr.splitlines()
    assert error == "RuntimeError: lost"
    assert note == "How the run ended could not be recorded: [Errno 27] File too large"
    assert Run.open("data/local/experiment/exp").status.state == "crashed"
