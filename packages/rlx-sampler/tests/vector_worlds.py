"""Vector environments, and environments of gymnasium for them."""

import copy
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from sampler_worlds import Array, Walk

vector: Any = gymnasium.vector
N_ENVS = 3


class GymWalk(gymnasium.Env[Array, Array]):
    """The walk as an environment of gymnasium, which in SAME_STEP wants values of their own each time."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
    action_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)

    def __init__(self) -> None:
        self.walk = Walk()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Array, dict[str, Any]]:
        super().reset(seed=seed)
        seed = int(self.np_random.integers(2**31)) if seed is None else seed
        return copy.deepcopy(self.walk.reset(seed=seed))

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        return copy.deepcopy(self.walk.step(action))


class Counting(gymnasium.Env[Any, Any]):
    """Shows how many steps were taken since the reset, in dicts; ends by itself at 2 to 6 steps."""

    observation_space = spaces.Dict({"age": spaces.Box(0, 99, (1,), np.float32), "odd": spaces.Discrete(2)})
    action_space = spaces.Discrete(2)
    age = 0
    end = 0

    def _observe(self) -> Any:
        return {"age": np.array([self.age], np.float32), "odd": self.age % 2}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.age, self.end = 0, int(self.np_random.integers(2, 7))
        return self._observe(), {"end": self.end}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        is_over = self.age == self.end
        return self._observe(), float(self.age), is_over and self.end % 2 == 0, is_over, {"age": self.age}


class Zero:
    """A policy that always takes action 0, and says which lane it acted for."""

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
        return np.zeros(len(rngs), int), {"noise": np.array([rng.random() for rng in rngs])}


class OneGenerator(vector.VectorEnv):  # type: ignore[misc]
    """A vector environment as simulators on accelerators are: one generator for all lanes, no lane alone.

    Each lane counts to a random end, and is reset in the step after.
    """

    def __init__(self) -> None:
        self.num_envs = N_ENVS
        self.single_observation_space = spaces.Box(0, 99, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.observation_space = spaces.Box(0, 99, (N_ENVS, 1), np.float32)
        self.action_space = spaces.MultiDiscrete([2] * N_ENVS)

    def _begin(self, lanes: Array) -> None:
        self.age[lanes] = 0
        self.end[lanes] = self.rng.integers(2, 7, lanes.sum())

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        self.rng = np.random.default_rng(seed)
        self.age, self.end = np.zeros(N_ENVS, int), np.zeros(N_ENVS, int)
        self._begin(np.ones(N_ENVS, bool))
        self.over = np.zeros(N_ENVS, bool)
        return self.age[:, None].astype(np.float32), {"end": self.end}

    def step(self, actions: Any) -> Any:
        begins = self.over
        self.age += 1
        self._begin(begins)
        self.over = self.age == self.end
        rewards = self.age.astype(np.float64)
        infos = {"end": self.end.copy(), "age": self.age.copy()}
        return (
            self.age[:, None].astype(np.float32),
            rewards,
            self.over & (self.end % 2 == 0),
            self.over,
            infos,
        )


class Foreign:
    """A vector environment as tianshou has it."""

    env_num = 2

    def reset(self) -> None: ...
    def step(self, actions: Any) -> None: ...


class Falling(Counting):
    """Breaks at its second step."""

    def step(self, action: int) -> Any:
        if self.age == 1:
            raise ZeroDivisionError("the counter fell")
        return super().step(action)
