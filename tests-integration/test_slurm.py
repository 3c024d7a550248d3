"""Sweeps and single runs on a real Slurm: whatever the cluster does, each run ends as if nothing had happened."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rlx_experiment import Run
from slurm_cluster import PROGRAMS, SlurmCluster
from sweep_process import EPOCHS, PACED, SCRIPT, Log, Sweep, attempts, logged, unbroken_run
from waiting import until

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A Slurm of two nodes; skips where it is not installed, or may not be started."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(
            f"a Slurm for tests is started by root, and needs {', '.join(missing) or 'no more programs'}"
        )
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _empty_queue(slurm: SlurmCluster) -> Iterator[None]:
    """Leave nothing in the queue."""
    yield
    slurm.cancel_all()


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Any]:
    """Start sweeps that do not outlive the test."""
    with contextlib.ExitStack() as stack:

        def start(points: Sequence[Mapping[str, Any]], name: str = "sweep", **options: Any) -> Sweep:
            sweep = Sweep("slurm", tmp_path / name, points, **options)
            stack.callback(sweep.close)
            return sweep

        yield start


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """What a run logs that nobody disturbs."""
    return unbroken_run(tmp_path_factory.mktemp("unbroken") / "run")


class TestSweep:
    """Without accounting: squeue says which jobs are there, their run folders what they did."""

    def test_an_error_fails_its_point_alone_and_is_not_tried_again(self, sweeps: Any) -> None:
        """The others finish; more points than an array may have are several arrays."""
        points = [{"seed": seed, "n_epochs": 2, "fail": seed == 3} for seed in range(6)]
        sweep = sweeps(points)
        wanted = [("failed" if point["fail"] else "finished", 1) for point in points]
        assert sweep.results() == wanted
        assert "ValueError: this point fails" in sweep.said

    def test_preempted_twice_it_ends_as_if_it_had_not_been(
        self, slurm: SlurmCluster, sweeps: Any, unbroken: object
    ) -> None:
        """The run saves when it is asked to stop, and Slurm queues it again."""
        sweep = sweeps([{"seed": 1, **PACED}], parameters={"slurm_partition": "low"})
        for epochs in (2, 5):
            sweep.wait_for(epochs, seed=1)
            slurm.preempt()
        assert sweep.results() == [("finished", 1)]
        assert attempts(sweep.run(1)) == 3
        assert logged(sweep.run(1)) == unbroken

    def test_a_job_that_dies_is_tried_again(self, sweeps: Any, unbroken: object) -> None:
        """It continues from its last snapshot."""
        sweep = sweeps([{"seed": 1, **PACED}])
        sweep.wait_for(2, seed=1)
        os.kill(Run.open(sweep.run(1)).status.pid, signal.SIGKILL)
        assert sweep.results() == [("finished", 2)]
        assert logged(sweep.run(1)) == unbroken

    def test_a_job_whose_node_goes_down_continues_on_another(
        self, slurm: SlurmCluster, sweeps: Any, unbroken: object
    ) -> None:
        """Slurm queues it again; the sweep sees one job."""
        sweep = sweeps([{"seed": 1, **PACED}])
        sweep.wait_for(2, seed=1)
        with slurm.one_node_down():
            assert sweep.results() == [("finished", 1)]
        assert logged(sweep.run(1)) == unbroken

    def test_a_cancelled_job_is_stopped_or_still_to_go(self, slurm: SlurmCluster, sweeps: Any) -> None:
        """What scancel ends has stopped; what had not begun stays to go."""
        points = [{"seed": seed, "n_epochs": 1000, "pace": 0.1} for seed in range(2)]
        sweep = sweeps(points, parameters={"slurm_array_parallelism": 1})
        sweep.wait_for(1)
        slurm.ask("scancel", "--user=root")
        assert sweep.results() == [("stopped", 1), ("to go", 0)]
        assert Run.open(sweep.run()).status.state == "stopped"

    def test_sigterm_ends_the_sweep_and_its_jobs(self, slurm: SlurmCluster, sweeps: Any) -> None:
        """Nothing is left in the queue, and the run can continue."""
        sweep = sweeps([{"seed": 0, "n_epochs": 1000, "pace": 0.1}])
        sweep.wait_for(1)
        sweep.process.terminate()
        assert sweep.results() == [("stopped", 1)]
        assert not slurm.ask("squeue", "-h").strip()

    def test_a_sweep_that_was_killed_joins_its_jobs(self, sweeps: Any) -> None:
        """Each point is called once, whether its job waited, ran or had ended."""
        points = [{"seed": seed, "n_epochs": 4, "pace": 0.5} for seed in range(3)]
        options: dict[str, Any] = {"parameters": {"slurm_array_parallelism": 1}}
        first = sweeps(points, **options)
        first.wait_for(1)
        first.close()
        second = sweeps(points, **options)
        assert [state for state, _ in second.results()] == ["finished"] * 3
        assert [len((second.run(seed) / "calls").read_text().split()) for seed in range(3)] == [1, 1, 1]

    def test_a_scheduler_that_goes_away_is_waited_for(self, slurm: SlurmCluster, sweeps: Any) -> None:
        """It is said once, and again when it is back; what ended meanwhile has ended."""
        sweep = sweeps([{"seed": 1, "n_epochs": 8, "pace": 0.5}])
        sweep.wait_for(1, seed=1)
        slurm.stop_controller()
        try:
            sweep.wait_for(8, seed=1)
        finally:
            slurm.start_controller()
        assert sweep.results() == [("finished", 1)]
        assert sweep.said.count("the scheduler does not answer") <= 1

    def test_a_scheduler_that_stays_away_is_an_error_after_a_while(
        self, slurm: SlurmCluster, sweeps: Any
    ) -> None:
        """The sweep says that the same one, launched again, joins the jobs, and it does."""
        points = [{"seed": 1, "n_epochs": 24, "pace": 0.5}]
        sweep = sweeps(points, outage=1)
        sweep.wait_for(1, seed=1)
        slurm.stop_controller()
        try:
            with pytest.raises(AssertionError, match="launched again, joins them"):
                sweep.results()
        finally:
            slurm.start_controller()
        again = sweeps(points)
        until("it has joined", lambda: again.process.poll() is None and again.has_logged(14, seed=1))
        assert again.results() == [("finished", 1)]
        assert attempts(again.run(1)) == 1


class TestTimeLimit:
    """A job whose time is up is queued again."""

    @pytest.mark.parametrize("deaf", [False, True], ids=["stops", "does not stop"])
    @pytest.mark.slow
    def test_is_no_end(self, slurm: SlurmCluster, sweeps: Any, deaf: bool) -> None:
        """Several times the limit; a run that does not hear is queued again at the last moment."""
        point = {"seed": 1, "n_epochs": 120, "pace": 1.0, "deaf": deaf}
        sweep = sweeps([point], parameters={"timeout_min": 1})
        lives = 0
        while sweep.process.poll() is None:
            slurm.start_waiting()
            if sweep.run(1).exists() and attempts(sweep.run(1)) > lives:
                lives = attempts(sweep.run(1))
            with contextlib.suppress(subprocess.TimeoutExpired):
                sweep.process.wait(1)
        assert sweep.results() == [("finished", 1)]
        assert lives >= 3
        assert [step for step, _ in logged(sweep.run(1))["info/Sum"]] == list(range(120))

    def test_asks_the_run_to_stop_and_queues_it_again(
        self, slurm: SlurmCluster, sweeps: Any, unbroken: object
    ) -> None:
        """The signal of submitit's jobs is a request to stop like any other."""
        sweep = sweeps([{"seed": 1, **PACED}])
        sweep.wait_for(2, seed=1)
        slurm.ask("scancel", "--signal=USR2", "--user=root")
        until("the run has stopped", lambda: Run.open(sweep.run(1)).status.state == "stopped")
        slurm.start_waiting()
        assert sweep.results() == [("finished", 1)]
        assert attempts(sweep.run(1)) == 2
        assert logged(sweep.run(1)) == unbroken

    def test_is_not_passed_over_when_no_more_lives_are_left(self, slurm: SlurmCluster, sweeps: Any) -> None:
        """Then the job has stopped, and the sweep ends."""
        sweep = sweeps([{"seed": 1, **PACED}], requeues=0)
        sweep.wait_for(2, seed=1)
        slurm.ask("scancel", "--signal=USR2", "--user=root")
        assert sweep.results() == [("stopped", 1)]


class TestRefusals:
    """What cannot work is refused before anything is submitted."""

    @pytest.mark.parametrize(
        ("parameters", "said"),
        [
            ({"slurm_partition": "hihg"}, "'hihg' is not known; this cluster has main, low, high"),
            ({"timeout_min": 90, "slurm_partition": "high"}, "partition high allows 60 minutes"),
            ({"timeout_min": 2, "slurm_signal_delay_s": 120}, "leave time before the request to stop"),
            ({"tasks_per_node": 2}, "tasks_per_node is 2; it must be 1"),
        ],
    )
    def test_names_what_is_wrong(
        self, slurm: SlurmCluster, sweeps: Any, parameters: Mapping[str, object], said: str
    ) -> None:
        """Unknown partitions, limits that cannot be kept, several tasks."""
        sweep = sweeps([{"seed": 1}], parameters=parameters)
        with pytest.raises(AssertionError, match=said):
            sweep.results()
        assert not slurm.ask("squeue", "-h").strip()


class TestOneExperiment:
    """A script under sbatch or srun, without a sweep."""

    def test_that_is_preempted_under_sbatch_continues(
        self, slurm: SlurmCluster, tmp_path: Path, unbroken: object
    ) -> None:
        """``--requeue`` and ``--resume`` are all it takes."""
        run = tmp_path / "run"
        command = (
            f"srun {sys.executable} {SCRIPT} --resume --log-dir {run} --seed 1 --n-epochs {EPOCHS} --pace 0.5"
        )
        slurm.ask("sbatch", "--requeue", "-p", "low", "-o", str(tmp_path / "out"), "--wrap", command)
        until("some epochs are logged", lambda: (run / "progress.csv").exists() and len((run / "progress.csv").read_text().splitlines()) > 2)  # fmt: skip
        slurm.preempt()
        until("it has finished", lambda: Run.open(run).status.state == "finished")
        assert attempts(run) == 2
        assert logged(run) == unbroken

    def test_under_srun_is_a_run_like_any_other(self, slurm: SlurmCluster, tmp_path: Path) -> None:
        """Its exit code is the run's."""
        command = (sys.executable, str(SCRIPT), "--log-dir", str(tmp_path / "run"), "--n-epochs", "2")
        slurm.ask("srun", "-n1", *command)
        assert Run.open(tmp_path / "run").status.state == "finished"
