"""Sweeps and samplers on a Ray cluster of two nodes of one CPU each."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlx_experiment import Run
from rlx_sampler import LocalSampler, RaySampler, WorkerFactory
from sweep_process import PACED, Log, Sweep, logged, unbroken_run
from waiting import until

ray: Any = pytest.importorskip("ray", reason="No module named 'ray'")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and a second node; drivers find them by ``RAY_ADDRESS``."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        found: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        found.add_node(num_cpus=1)
        patch.setenv("RAY_ADDRESS", found.address)
        yield found
        ray.shutdown()
        found.shutdown()


@pytest.fixture
def sweeps(cluster: Any, tmp_path: Path) -> Iterator[Any]:
    """Start sweeps that do not outlive the test."""
    with contextlib.ExitStack() as stack:

        def start(points: Sequence[Mapping[str, Any]], **options: Any) -> Sweep:
            sweep = Sweep("ray", tmp_path / "sweep", points, **options)
            stack.callback(sweep.close)
            return sweep

        yield start


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """What a run logs that nobody disturbs."""
    return unbroken_run(tmp_path_factory.mktemp("unbroken") / "run")


class TestSweep:
    """A job is a task of Ray."""

    def test_sigterm_stops_the_jobs_and_a_second_sweep_continues_them(
        self, sweeps: Any, unbroken: Log, tmp_path: Path
    ) -> None:
        """Runs under way save; those that wait stay to go; each is called no more than it takes."""
        hold = tmp_path / "hold"
        hold.touch()  # so that no run ends before the sweep is stopped, whichever began first
        points = [{"seed": seed, "held_by": str(hold), **PACED} for seed in (1, 2, 3)]
        first = sweeps(points)
        until("two runs are under way", lambda: sum(first.has_logged(2, seed) for seed in (1, 2, 3)) == 2)
        first.process.terminate()
        time.sleep(2)  # the request travels to the runs
        hold.unlink()
        assert sorted(first.results()) == [("stopped", 1), ("stopped", 1), ("to go", 0)]
        second = sweeps(points)
        assert second.results() == [("finished", 1)] * 3
        assert logged(second.run(1)) == unbroken

    def test_a_job_that_dies_is_tried_again(self, sweeps: Any, unbroken: Log) -> None:
        """It continues from its last snapshot, and its tries are told."""
        sweep = sweeps([{"seed": 1, **PACED}])
        sweep.wait_for(2, seed=1)
        os.kill(Run.open(sweep.run(1)).status.pid, signal.SIGKILL)
        assert sweep.results() == [("finished", 2)]
        assert logged(sweep.run(1)) == unbroken

    def test_an_error_is_not_tried_again(self, sweeps: Any) -> None:
        """It would come again."""
        assert sweeps([{"seed": 1, "fail": True}]).results() == [("failed", 1)]

    def test_jobs_of_a_node_that_goes_away_continue_on_another(
        self, cluster: Any, sweeps: Any, unbroken: Log
    ) -> None:
        """Both runs finish on the node that is left."""
        sweep = sweeps([{"seed": seed, **PACED} for seed in (1, 2)], retries=2)
        sweep.wait_for(2, seed=1)
        sweep.wait_for(2, seed=2)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        try:
            assert [state for state, _ in sweep.results()] == ["finished"] * 2
        finally:
            cluster.add_node(num_cpus=1)
        assert logged(sweep.run(1)) == unbroken


class Sign:
    """Pushes the cart towards the side that the pole falls to, with some noise."""

    def get_actions(
        self, observations: np.ndarray[Any, Any], /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        """Return an action a row."""
        noise = np.array([rng.normal() for rng in rngs])
        return (observations[:, 2] + 0.01 * noise > 0).astype(np.int64), {}


def test_a_batch_of_two_nodes_is_that_of_one_process(cluster: Any) -> None:
    """Which node an episode runs on decides nothing."""
    batches: list[Any] = []
    for sampler_class in (LocalSampler, RaySampler):
        factory = WorkerFactory(seed=3, max_episode_length=50, n_workers=2)
        sampler = sampler_class.from_worker_factory(
            factory, agents=Sign(), envs=gymnasium.make("CartPole-v1")
        )
        batches.append(sampler.obtain_samples(0, 500, None))
        sampler.shutdown_worker()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    assert len(nodes) == 2
    for field in ("observations", "actions", "rewards", "lengths"):
        np.testing.assert_array_equal(getattr(batches[0], field), getattr(batches[1], field))
