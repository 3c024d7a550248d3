"""The state of runs, seen from outside."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlx_experiment import ExperimentContext, Run, RunLiveError, wrap_experiment
from rlx_experiment._lock import RunLock, is_held
from rlx_experiment._runs import heartbeat
from rlx_experiment._runs.heartbeat import Heartbeat
from rlx_experiment._runs.record import write_arguments
from rlx_experiment._runs.status import read_status, where, write_status

SLEEPER = """
import os, sys, time
from rlx_experiment import wrap_experiment

@wrap_experiment(log_dir="run")
def exp(ctxt):
    if len(sys.argv) > 1:
        if os.fork() > 0:
            time.sleep(60)
    print("ready", flush=True)
    time.sleep(60)

exp()
"""


def start_sleeper(*argv: str) -> "subprocess.Popen[str]":
    """Start a run that sleeps, in a process group of its own, and wait until it does."""
    process = subprocess.Popen(
        (sys.executable, "-c", SLEEPER, *argv), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_running_then_crashed() -> None:
    """A run is running while its process lives, and crashed right after kill -9."""
    with start_sleeper() as process:
        assert Run.open("run").status.state == "running"
        with pytest.raises(RunLiveError, match="still running"):
            RunLock(Path("run"))
        process.kill()
        process.wait()
        assert Run.open("run").status.state == "crashed"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_worker_does_not_keep_a_dead_run_alive() -> None:
    """The lock goes with the process that holds it, though a forked child lives on."""
    with start_sleeper("fork") as process:
        process.kill()
        process.wait()
        assert Run.open("run").status.state == "crashed"
        os.killpg(process.pid, signal.SIGKILL)  # the worker that was left behind


def make_run(state: str, **changes: object) -> Path:
    """Write a run folder as a process of another time left it."""
    folder = Path("run")
    folder.mkdir()
    (folder / "run.lock").touch()
    write_arguments(folder, {}, {"experiment": "a.py:b"})
    write_status(folder, {"state": state, "attempt": 1, **where(), **changes})
    return folder


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_an_end_is_believed(state: str) -> None:
    """What a run said at its end holds, wherever it ran."""
    assert read_status(make_run(state, host="far", boot="other")).state == state


def test_another_host_runs_while_its_heart_beats() -> None:
    """Its lock may not be seen from here; the time of its lock file is."""
    folder = make_run("running", host="far", boot="other")
    assert read_status(folder).state == "running"
    long_ago = time.time() - 120
    os.utime(folder / "run.lock", (long_ago, long_ago))
    assert read_status(folder).state == "crashed"


def nothing(ctxt: ExperimentContext) -> None:
    """Do nothing."""


def test_a_heartbeat_renews_the_time_of_the_lock_file() -> None:
    """It does so at once, and stops when the run has ended."""
    folder = make_run("running")
    os.utime(folder / "run.lock", (1.0, 1.0))
    with Heartbeat(folder):
        deadline = time.monotonic() + 30
        while (folder / "run.lock").stat().st_mtime < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert (folder / "run.lock").stat().st_mtime > 2


def test_a_run_whose_host_died_is_taken_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A last beat that is young does not keep a run from continuing elsewhere."""
    monkeypatch.setattr(heartbeat, "_WATCH_S", 0.2)
    make_run("running", host="far", boot="other")
    experiment = wrap_experiment(nothing, log_dir="run", use_existing_dir=True, archive_launch_repo=False)
    experiment()
    assert read_status(Path("run")).state == "finished"


def test_a_run_that_lives_on_another_host_is_not_taken() -> None:
    """Its folder stays as it is."""
    folder = make_run("running", host="far", boot="other")
    before = (folder / "status.json").read_bytes()
    experiment = wrap_experiment(nothing, log_dir="run", use_existing_dir=True, archive_launch_repo=False)
    with Heartbeat(folder, 0.2), pytest.raises(RunLiveError, match="still running"):
        experiment()
    assert (folder / "status.json").read_bytes() == before


def test_the_same_host_after_a_reboot_is_a_crash() -> None:
    """A run of this host before its reboot is gone."""
    assert read_status(make_run("running", boot="other")).state == "crashed"


def test_a_launch_cut_short_is_a_crash() -> None:
    """A folder with arguments and lock, but no status, is a run that died in its launch."""
    folder = make_run("running")
    (folder / "status.json").unlink()
    assert read_status(folder).state == "crashed"
    lock = RunLock(folder)
    assert read_status(folder).state == "starting"
    lock.close()


def test_no_run() -> None:
    """A folder without a run is an error that names it."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Run.open("nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_status(Path("nowhere"))


def test_a_damaged_status_says_so() -> None:
    """A status that is no JSON is an error with a way out."""
    folder = make_run("running")
    (folder / "status.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        read_status(folder)


def test_lock_is_held_until_closed() -> None:
    """The lock is seen from other descriptors, and closing it twice is allowed."""
    lock = RunLock(Path())
    assert is_held(Path())
    lock.close()
    lock.close()
    assert not is_held(Path())
    assert not is_held(Path("nowhere"))


def test_status_file_is_json_for_people() -> None:
    """status.json holds state, host, process and start."""
    folder = make_run("running", started="2026-01-01T00:00:00.000+00:00")
    record = json.loads((folder / "status.json").read_text())
    assert {"state", "attempt", "host", "pid", "boot", "started"} <= set(record)
