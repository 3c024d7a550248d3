"""Policies and normalisers of Stable-Baselines3, kept by our persistence."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rlx_persistence import FolderWorld, NormalizerPersistence, PersistEvent, RestoreEvent

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

vec_env: Any = import_module("stable_baselines3.common.vec_env")


class Parts(gymnasium.Env[dict[str, Any], np.int64]):
    """An environment whose observations have two parts."""

    observation_space = spaces.Dict({name: spaces.Box(-9, 9, (2,), np.float64) for name in ("a", "b")})
    action_space = spaces.Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """Start again."""
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: np.int64) -> Any:
        """Observe anything."""
        return self.observation_space.sample(), float(self.np_random.normal()), False, False, {}


def normalizer(*, steps: int, make: Any) -> Any:
    """Return a VecNormalize that has seen some steps."""
    environment = vec_env.VecNormalize(vec_env.DummyVecEnv([make]))
    environment.reset()
    for _ in range(steps):
        environment.step([0])
    return environment


@pytest.mark.parametrize("make", [Parts, lambda: gymnasium.make("CartPole-v1")])
def test_vec_normalize(tmp_path: Path, make: Any) -> None:
    """The statistics of observations and returns come back, so both normalise the same way."""
    world = FolderWorld(tmp_path, tmp_path)
    seen, fresh = normalizer(steps=5, make=make), normalizer(steps=0, make=make)
    NormalizerPersistence(seen).persist(PersistEvent.PERSIST_POLICY, world)
    NormalizerPersistence(fresh).restore(RestoreEvent.RESTORE_POLICY, world)
    observation = seen.get_original_obs()
    assert str(fresh.normalize_obs(observation)) == str(seen.normalize_obs(observation))
    assert fresh.normalize_reward(np.ones(1)) == seen.normalize_reward(np.ones(1))
