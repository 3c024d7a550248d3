"""Vector environments of Stable-Baselines3 in our samplers."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
import pytest

from rlx_sampler import LocalSampler, StepType, VecWorker, WorkerFactory

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

N_LANES = 4


class Lean:
    """Pushes the pole to where it falls."""

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
        return np.asarray(observations[:, 2] > 0).astype(np.int64), {}


def build(**options: Any) -> Any:
    """Return poles that say the return of each episode."""
    sb3: Any = import_module("stable_baselines3.common.vec_env")
    monitor: Any = import_module("stable_baselines3.common.monitor").Monitor
    return sb3.DummyVecEnv([lambda: monitor(gymnasium.make("CartPole-v1", **options))] * N_LANES)


def sampler(env: Any, worker_class: Any = VecWorker) -> LocalSampler:
    """Return a sampler in this process."""
    factory = WorkerFactory(max_episode_length=500, seed=1, n_workers=1, worker_class=worker_class)
    return LocalSampler(factory, Lean(), env)


@pytest.mark.parametrize(("limit", "end"), [(20, StepType.TIMEOUT), (500, StepType.TERMINAL)])
def test_give_whole_episodes(limit: int, end: StepType) -> None:
    """Labels, last observations and infos are those of the steps, not of the episode that follows."""
    batch = sampler(lambda: build(max_episode_steps=limit)).obtain_samples(0, 300, None)
    ends = np.cumsum(batch.lengths) - 1
    assert set(batch.step_types[ends]) == {end}
    moved = batch.next_observations[:, 0] - batch.observations[:, 0]
    assert np.allclose(moved, 0.02 * batch.observations[:, 1], atol=1e-6)
    lengths = batch.env_infos["episode"]["l"][ends].astype(int)
    assert np.array_equal(lengths, batch.lengths)


def test_are_seeded_by_the_sampler() -> None:
    """The same seed gives the same steps, call by call."""
    samplers = [sampler(build), sampler(build)]
    for _ in range(2):
        one, other = (each.obtain_samples(0, 100, None) for each in samplers)
        assert np.array_equal(one.observations, other.observations)
