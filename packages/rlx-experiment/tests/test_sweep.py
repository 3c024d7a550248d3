"""Sweeps, their launchers, and how they continue."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from numpy import random, zeros

from rlx_experiment import (
    ExperimentContext,
    JobResult,
    Local,
    Run,
    Slurm,
    grid,
    wrap_experiment,
)
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.pool import visible_gpus

pytestmark = pytest.mark.processes

Git = Callable[..., str]
RunScript = Callable[..., "subprocess.CompletedProcess[str]"]


@wrap_experiment
def job(ctxt: ExperimentContext, seed: int, lr: float = 0.1) -> None:
    """Note the GPU that is seen."""
    note = {
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "seed": seed,
        "pid": os.getpid(),
        "parent": os.getppid(),
    }
    with Path(ctxt.snapshot_dir, "notes.jsonl").open("a") as file:
        file.write(json.dumps(note) + "\n")


@wrap_experiment
def draws(ctxt: ExperimentContext, seed: int) -> None:
    """Note a number of NumPy's global generator, which this module has brought along."""
    Path(ctxt.snapshot_dir, "drawn.txt").write_text(str(random.random()))


@wrap_experiment
def takes(ctxt: ExperimentContext, data: Any) -> None:
    """Be called with something large."""


@wrap_experiment
def reads(ctxt: ExperimentContext, seed: int) -> None:
    """Note what comes from standard input."""
    Path(ctxt.snapshot_dir, "read.txt").write_bytes(os.read(0, 100))


WAITS_FOR = {0: 3, 3: 4, 4: 5}
"""Jobs of `gpu_job` that end only once another has begun: no two of six can be left out, nor wait for their turn."""


@wrap_experiment
def gpu_job(ctxt: ExperimentContext, seed: int) -> None:
    """Note when the GPU that is seen is in use."""
    begin = time.monotonic()
    Path(f"begun-{seed}").touch()
    while seed in WAITS_FOR and not Path(f"begun-{WAITS_FOR[seed]}").exists():
        if time.monotonic() > begin + 30:
            raise RuntimeError(f"job {WAITS_FOR[seed]} waits although only one other is under way")
        time.sleep(0.01)
    note = {"gpu": os.environ["CUDA_VISIBLE_DEVICES"], "begin": begin, "end": time.monotonic()}
    Path(ctxt.snapshot_dir, "notes.jsonl").write_text(json.dumps(note))


def notes(results: list[JobResult]) -> list[dict[str, Any]]:
    """Return what each of the jobs noted last."""
    return [json.loads((result.path / "notes.jsonl").read_text().splitlines()[-1]) for result in results]


def test_grid_refuses_an_axis_of_one_value() -> None:
    """One value is not several; the message shows how to give it."""
    lr: Any = 0.1
    with pytest.raises(TypeError, match=r"lr is 0.1; it must be a list of values, such as \[0.1\]"):
        grid(lr=lr)


def test_grid_is_every_combination() -> None:
    """The last axis changes fastest."""
    assert grid(a=range(2), b="xy") == [
        {"a": 0, "b": "x"},
        {"a": 0, "b": "y"},
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
    ]


class TestLocal:
    def test_runs_every_point_in_its_own_folder(self) -> None:
        """Each point has a run named by its arguments, and a result in its place."""
        results = job.sweep(grid(seed=range(3)), jobs=2, progress=False)
        assert [result.path.name for result in results] == ["job_seed=0", "job_seed=1", "job_seed=2"]
        assert {(result.state, result.tries) for result in results} == {("finished", 1)}
        assert [note["seed"] for note in notes(results)] == [0, 1, 2]

    def test_an_experiment_that_was_typed_in(self) -> None:
        """Where there is no file to load, as in a notebook, the function itself travels to the jobs."""
        script = """
            from rlx_experiment import grid, wrap_experiment
            @wrap_experiment
            def typed(ctxt, seed):
                print("typed", seed)
            print([result.state for result in typed.sweep(grid(seed=range(2)), jobs=1, progress=False)])
        """
        command = (sys.executable, "-")
        done = subprocess.run(
            command, input=textwrap.dedent(script), capture_output=True, text=True, check=True
        )
        assert done.stdout == "['finished', 'finished']\n"
        (run, _) = sorted(Path("data/local/experiment").iterdir())
        assert "launcher" not in Run.open(run).metadata

    @pytest.mark.parametrize("fork", [True, False])
    def test_keeps_the_code_of_the_program_that_sweeps(
        self, git: Git, run_script: RunScript, fork: bool
    ) -> None:
        """The runs know the script that was started and its repository, though other processes do the work."""
        Path("training.py").write_text(
            "from rlx_experiment import wrap_experiment\n@wrap_experiment\ndef train(ctxt, seed): pass\n"
        )
        script = f"""
            from rlx_experiment import Local, grid
            from training import train

            if __name__ == "__main__":
                train.sweep(grid(seed=[1]), launcher=Local(jobs=1, fork={fork}), log_dir="runs")
        """
        Path("script.py").write_text(textwrap.dedent(script))
        git("add", ".")
        git("commit", "-qm", "x")
        done = run_script(script)
        assert done.returncode == 0, done.stderr
        run = Run.open("runs/seed=1")
        assert run.metadata["launcher"] == "script.py"
        assert run.metadata["githash"].startswith(git("rev-parse", "HEAD"))
        assert run.rerun() == 0

    def test_launched_again_it_runs_what_is_missing(self) -> None:
        """Finished runs stay as they are; new points are added."""
        job.sweep(grid(seed=range(2)), jobs=1, progress=False)
        results = job.sweep(grid(seed=range(3)), jobs=1, progress=False)
        assert [result.tries for result in results] == [0, 0, 1]
        assert len((results[0].path / "notes.jsonl").read_text().splitlines()) == 1

    def test_other_defaults_are_other_runs(self) -> None:
        """A call that differs in an argument not in its name gets a folder of its own."""
        first = job.sweep([{"seed": 1}], log_dir="s", progress=False)

        @wrap_experiment
        def changed(ctxt: ExperimentContext, seed: int, lr: float = 0.5) -> None: ...

        changed.function.__qualname__ = job.wrapped.__qualname__  # type: ignore[union-attr]
        second = changed.sweep([{"seed": 1}], log_dir="s", progress=False)
        assert (first[0].path.name, second[0].path.name) == ("seed=1", "seed=1_1")
        assert second[0].state == "finished"

    def test_calls_that_differ_in_the_middle_of_a_large_array_are_two(self) -> None:
        """What a name abbreviates is another run all the same."""
        first, second = zeros(20_000), zeros(20_000)
        second[10_000] = 1
        done = takes.sweep([{"data": first}], jobs=1, log_dir="s", progress=False)
        again = takes.sweep([{"data": first}], jobs=1, log_dir="s", progress=False)
        other = takes.sweep([{"data": second}], jobs=1, log_dir="s", progress=False)
        assert [result.tries for (result,) in (done, again, other)] == [1, 0, 1]
        assert done[0].path == again[0].path != other[0].path

    def test_jobs_are_forked_from_one_process(self) -> None:
        """The experiment is imported once, for all jobs."""
        parents = {note["parent"] for note in notes(job.sweep(grid(seed=range(3)), jobs=1, progress=False))}
        assert len(parents) == 1
        assert parents != {os.getpid()}

    def test_forked_jobs_have_random_numbers_of_their_own(self) -> None:
        """Unseeded runs differ, as those of new processes do, though all are copies of one process."""
        results = draws.sweep(grid(seed=range(3)), jobs=1, progress=False)
        assert len({(result.path / "drawn.txt").read_text() for result in results}) == 3

    def test_forked_jobs_keep_the_seed_of_their_program(self, run_script: RunScript) -> None:
        """A seed that the program sets when it is imported holds in all jobs, as in new processes."""
        result = run_script(SEEDED)
        assert len(set(result.stdout.split())) == 1, result.stderr

    @pytest.mark.skipif(os.name == "nt", reason="reads a descriptor")
    def test_jobs_have_no_input(self) -> None:
        """A job that reads finds the end of its input, and not the commands of the sweep."""
        for fork in (True, False):
            results = reads.sweep(
                grid(seed=range(2)), launcher=Local(jobs=2, fork=fork), log_dir=f"fork-{fork}", progress=False
            )
            assert [(result.path / "read.txt").read_bytes() for result in results] == [b"", b""]

    def test_without_fork_each_job_is_a_new_process(self) -> None:
        """The launcher of systems without fork does the same work."""
        results = job.sweep(grid(seed=range(2)), launcher=Local(jobs=2, fork=False), progress=False)
        assert {note["parent"] for note in notes(results)} == {os.getpid()}

    def test_each_gpu_has_one_job_at_a_time(self) -> None:
        """A GPU is free again when its job ends, whichever job that is, and no GPU idles while jobs wait."""
        results = gpu_job.sweep(grid(seed=range(6)), gpus=["GPU-a", "GPU-b"], progress=False)
        assert [(result.state, result.tries) for result in results] == [("finished", 1)] * 6
        used = sorted((note["gpu"], note["begin"], note["end"]) for note in notes(results))
        assert {gpu for gpu, *_ in used} == {"GPU-a", "GPU-b"}
        for (gpu, _, end), (next_gpu, next_begin, _) in pairwise(used):
            assert gpu != next_gpu or end <= next_begin

    @pytest.mark.parametrize(("variable", "expected"), [("0,2", ["0", "2"]), ("-1", []), ("", [])])
    def test_visible_gpus_are_those_of_this_process(
        self, monkeypatch: pytest.MonkeyPatch, variable: str, expected: list[str]
    ) -> None:
        """CUDA_VISIBLE_DEVICES decides."""
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
        assert visible_gpus() == expected

    def test_points_that_do_not_fit_start_nothing(self) -> None:
        """A wrong argument, or the same point twice, is found before the first job."""
        with pytest.raises(TypeError, match="seat"):
            job.sweep([{"seed": 1}, {"seed": 2, "seat": 2}])
        with pytest.raises(ValueError, match="the same"):
            job.sweep([{"seed": 1}, {"seed": 1}])
        assert not Path("data").exists()

    def test_refuses_impossible_options(self) -> None:
        """Numbers out of range are errors that show them."""
        with pytest.raises(ValueError, match="jobs is 0; it must be at least 1"):
            Local(jobs=0)
        with pytest.raises(ValueError, match="retries is -1; it must be at least 0"):
            Local(retries=-1)

    def test_refuses_options_of_another_kind(self) -> None:
        """Text counts no jobs."""
        jobs: Any = "two"
        with pytest.raises(TypeError, match="jobs is 'two'; it must be a whole number"):
            Local(jobs=jobs)


SEEDED = """
import numpy as np
from pathlib import Path
from rlx_experiment import grid, wrap_experiment

np.random.seed(1)

@wrap_experiment
def exp(ctxt, seed):
    Path(ctxt.snapshot_dir, "drawn.txt").write_text(str(np.random.random()))

if __name__ == "__main__":
    for result in exp.sweep(grid(seed=range(2)), jobs=1, progress=False):
        print((result.path / "drawn.txt").read_text())
"""

SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from rlx_experiment import Local, grid, wrap_experiment

@wrap_experiment
def exp(ctxt, seed):
    attempt = len(ctxt.run.attempts)
    print("seed", seed, "pid", os.getpid())
    if seed == 1 and attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 2:
        raise RuntimeError("never works")
    if seed == 3 and attempt == 1:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    if seed == 9:
        Path("started").touch()
        while not ctxt.stop_requested:
            time.sleep(0.01)

if __name__ == "__main__":
    seeds = [int(word) for word in sys.argv[1:]]
    for result in exp.sweep(grid(seed=seeds), jobs=1):
        print(result.arguments["seed"], result.state, result.tries)
"""


class TestFaults:
    def test_a_dead_job_costs_one_retry(self, run_script: RunScript) -> None:
        """A job that is killed is run again; one that always fails is given up, and the others run."""
        result = run_script(SCRIPT, "0", "1", "2")
        assert result.stdout.splitlines() == ["0 finished 1", "1 finished 2", "2 failed 1"]
        folder = Path("data/local/experiment/exp_seed=2").absolute()
        told = f"failed after 1 try: {folder} (RuntimeError: never works; see its console.log)"
        assert told in result.stderr
        assert "never works" in Path("data/local/experiment/exp_seed=2/console.log").read_text()

    def test_a_dead_fork_server_is_replaced(self, run_script: RunScript) -> None:
        """When the process that forks is killed, a new one runs what is left; its own job, still alive, is left alone."""
        result = run_script(SCRIPT, "3", "4")
        assert result.stdout.splitlines() == ["3 running elsewhere 2", "4 finished 1"]
        text = Path("data/local/experiment/exp_seed=3/console.log").read_text()
        os.kill(int(text.split()[3]), signal.SIGKILL)  # the job that was left behind

    @pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
    def test_a_signal_stops_all_and_starts_no_more(self) -> None:
        """Jobs stop at their next good moment, those that wait stay unstarted, and the sweep continues later."""
        Path("sweep.py").write_text(textwrap.dedent(SCRIPT))
        with subprocess.Popen(
            (sys.executable, "sweep.py", "9", "0"), stdout=subprocess.PIPE, text=True
        ) as process:
            while not Path("started").exists():
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=60)[0]
        assert output.splitlines() == ["9 stopped 1", "0 to go 0"]


SLURM_SCRIPT = """
import time
from pathlib import Path
from rlx_experiment import Slurm, grid, wrap_experiment

@wrap_experiment
def exp(ctxt, seed):
    Path(f"started-{seed}").touch()
    while not ctxt.stop_requested:
        time.sleep(0.01)

if __name__ == "__main__":
    slurm = Slurm(folder="slurm/%j", cluster="local", parameters={"timeout_min": 1}, poll=0.1)
    print([result.state for result in exp.sweep(grid(seed=range(2)), launcher=slurm, progress=False)])
"""


class TestSlurm:
    """Submitit's local executor runs the jobs as a cluster would."""

    launcher = Slurm(folder="slurm/%j", cluster="local", parameters={"timeout_min": 1}, poll=0.1)

    @pytest.fixture(autouse=True)
    def submitit(self) -> None:
        """Skip without submitit."""
        pytest.importorskip("submitit", reason="submitit is not installed")

    def test_runs_every_point(self) -> None:
        """Each point is a job."""
        results = job.sweep(grid(seed=range(2)), launcher=self.launcher, progress=False)
        assert [(result.state, result.tries) for result in results] == [("finished", 1)] * 2

    @pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
    def test_a_signal_cancels_the_jobs(self) -> None:
        """Nothing lives on in the cluster when a sweep was told to stop."""
        Path("sweep.py").write_text(SLURM_SCRIPT)
        with subprocess.Popen((sys.executable, "sweep.py"), stdout=subprocess.PIPE, text=True) as process:
            while not (Path("started-0").exists() and Path("started-1").exists()):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            output = process.communicate(timeout=60)[0]
        assert output == "['stopped', 'stopped']\n"
        states = {read_status(folder).state for folder in Path("data/local/experiment").glob("exp_seed=*")}
        assert states <= {"stopped", "crashed"}
