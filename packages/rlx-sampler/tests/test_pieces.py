"""Episodes that are taken off the step_buffer together."""

from typing import Any

import numpy as np
import pytest
from sampler_worlds import Array, Gaussian, Walk, make_local

from rlx_sampler import VecWorker


class Moody(Walk):
    """A walk whose infos have another type in some episodes, and a name of their own in others."""

    _mood = 0

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = super().step(action)
        mood = self._mood
        values: dict[str, Any] = {"level": 1 if mood % 3 else 0.5, "place": np.zeros(1 + (mood % 4 == 0))}
        return (
            observation,
            reward,
            terminated,
            truncated,
            {**values, **({"rare": 1} if mood % 5 == 0 else {})},
        )

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        self._mood = int(self._rng.integers(60))
        return observation, info


class Plain(Walk):
    """A walk whose infos are alike at every step."""

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, {"left": self._left, "place": observation[:2]}


@pytest.mark.parametrize("env", [Plain, Moody, Walk])
@pytest.mark.parametrize("n_steps", [5, 40, 150])
def test_are_the_same_as_one_by_one(env: type[Walk], n_steps: int) -> None:
    """However many environments end episodes together, and are thrown away, dtypes and values stay the same."""
    wanted = make_local(env=env(), worker_class=VecWorker, worker_args={"n_envs": 1})
    others = [
        make_local(env=env(), worker_class=VecWorker, worker_args={"n_envs": n_envs}) for n_envs in (3, 8, 40)
    ]
    for itr in range(2):
        batch = wanted.obtain_samples(itr, n_steps, None)
        for other in others:
            assert other.obtain_samples(itr, n_steps, None).digest() == batch.digest()


class Crowded(Gaussian):
    """A policy whose last bits follow from the number of rows, as those of matrix products may."""

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions + np.float32(1e-3 * len(observations)), infos


@pytest.mark.parametrize("policy", [Gaussian, Crowded])
def test_do_not_depend_on_the_rows_of_a_call(policy: type[Gaussian]) -> None:
    """Blocks go into one call of the policy only where that changes no bit."""
    digests = {
        make_local(policy(), worker_class=VecWorker, worker_args={"n_envs": n_envs})
        .obtain_samples(0, 200, None)
        .digest()
        for n_envs in (1, 16, 40, 64)
    }
    assert len(digests) == 1
