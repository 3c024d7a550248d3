"""Environments of Box2D, whose world outlives an episode and cannot be copied: keyed and resumed exactly all the same."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlx_protocols import WorkerFactory
from rlx_runner import check_exactness
from rlx_sampler import DefaultWorker, FragmentWorker, LocalSampler, VecWorker
from rlx_sampler._workers.renewed_environment import RenewedEnvironment, renewed

pytest.importorskip("Box2D", reason="No module named 'Box2D'")
pytestmark = pytest.mark.filterwarnings("ignore")  # of Box2D's wrapper code

WALKER = "BipedalWalker-v3"  # its world is that of all its episodes; LunarLander makes one for each
LENGTH = 60


class Uniform:
    """A policy that draws actions between -1 and 1."""

    def get_actions(
        self, observations: Any, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw one action a row."""
        return np.stack([rng.uniform(-1, 1, 4).astype(np.float32) for rng in rngs]), {}


class Sampling:
    """An algorithm that keeps the digests of what it samples."""

    max_episode_length = LENGTH

    def __init__(self) -> None:
        self.policy = Uniform()
        self.digests: list[str] = []

    def train(self, loop: Any, /) -> None:
        """Sample in every epoch."""
        for epoch in loop.step_epochs():
            self.digests.append(loop.obtain_episodes(epoch).digest())


def sampled(worker_class: type, **arguments: Any) -> tuple[str, str]:
    """Return the digest of some episodes, and the grade of their sampler."""
    factory = WorkerFactory(
        seed=3,
        max_episode_length=LENGTH,
        n_workers=1,
        worker_class=worker_class,
        worker_args=arguments,
    )
    sampler = LocalSampler.from_worker_factory(factory, agents=Uniform(), envs=gymnasium.make(WALKER))
    batch = sampler.obtain_samples(0, 600, None)
    grade = sampler.exactness().grade
    sampler.shutdown_worker()
    return batch.digest(), grade


def test_episodes_are_those_of_their_keys() -> None:
    """One after the other in one environment, or in several side by side: the same bits."""
    one_by_one = sampled(DefaultWorker)
    assert one_by_one[1] == "A"
    assert sampled(VecWorker, n_envs=3) == one_by_one


def test_a_run_resumes_exactly() -> None:
    """Interrupted in mid-episode, which another process runs again, it ends with the same bits, as its grade says."""
    verdict = check_exactness(
        Sampling(),
        gymnasium.make(WALKER),
        LocalSampler,
        worker_class=FragmentWorker,
        batch_size=150,
        n_epochs=2,
    )
    assert verdict.exact, verdict.differences
    assert verdict.said.startswith("grade A")


def test_a_window_stays_open() -> None:
    """What people watch is not built again."""
    environment: Any = gymnasium.make(WALKER, render_mode="human")
    assert renewed(environment) is environment


def test_wrappers_keep_what_they_know() -> None:
    """Only the innermost environment is another one in the next episode."""
    environment: Any = gymnasium.wrappers.NormalizeObservation(gymnasium.make(WALKER))
    both = renewed(environment)
    assert isinstance(both, RenewedEnvironment)
    innermost = environment.unwrapped
    for seed in range(3):
        both.reset(seed=seed)
        both.step(np.zeros(4, np.float32))
    assert environment.unwrapped is not innermost
    assert environment.unwrapped.action_space is innermost.action_space
    assert environment.obs_rms.count == pytest.approx(6, abs=0.01)
    both.close()
