"""Vector environments of Stable-Baselines3 in a snapshot: with everything that they wrap."""

import importlib
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

if find_spec("stable_baselines3") is None:
    pytest.skip("stable-baselines3 is not installed", allow_module_level=True)

from rlx_snapshot import exact_copy

vec_env: Any = importlib.import_module("stable_baselines3.common.vec_env")
make_vec_env: Any = importlib.import_module("stable_baselines3.common.env_util").make_vec_env


def stacked(env: Any) -> Any:
    """Return an environment whose observations are two of the wrapped one."""
    return vec_env.VecFrameStack(env, 2)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(vec_env.VecNormalize, id="VecNormalize"),
        pytest.param(stacked, id="VecFrameStack"),
        pytest.param(vec_env.VecMonitor, id="VecMonitor"),
    ],
)
@pytest.mark.filterwarnings("ignore:The environment is already wrapped")
def test_a_copy_steps_alike(wrap: Any) -> None:
    """A copy in mid-episode gives the same observations and normalized rewards as the original."""
    env = wrap(make_vec_env("CartPole-v1", n_envs=2, seed=1))
    env.reset()
    actions = np.random.default_rng(2).integers(2, size=(60, 2))
    for action in actions[:30]:
        env.step(action)
    copy = exact_copy(env)
    for action in actions[30:]:
        for one, other in zip(env.step(action)[:3], copy.step(action)[:3], strict=True):
            np.testing.assert_array_equal(one, other)
