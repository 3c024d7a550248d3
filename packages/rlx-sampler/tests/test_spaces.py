"""Every kind of space, as observations and as actions, through every worker and both engines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from sampler_worlds import make_factory

from rlx_sampler import (
    DefaultWorker,
    EpisodeBatch,
    FragmentWorker,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
)
from rlx_sampler._batches.trees import is_mapping, is_tuple, leaves, rows

BOX = spaces.Box(-1, 1, (2, 3), np.float32)
SPACES: dict[str, Any] = {
    "Box": BOX,
    "Discrete": spaces.Discrete(5, start=2),
    "MultiDiscrete": spaces.MultiDiscrete([3, 7, 2]),
    "MultiBinary": spaces.MultiBinary([2, 4]),
    "Dict": spaces.Dict({"box": BOX, "parts": spaces.Tuple([spaces.Discrete(4), spaces.MultiBinary(3)])}),
    "Tuple": spaces.Tuple([spaces.MultiDiscrete([9, 9]), spaces.Dict({"box": BOX})]),
}
FRAGMENTS: dict[str, Any] = {"n_envs": 2, "timesteps_per_call": 5}
WORKERS: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {
    DefaultWorker: ({}, {}),
    VecWorker: ({"n_envs": 3}, {"n_envs": 3}),
    FragmentWorker: (FRAGMENTS, {**FRAGMENTS, "n_envs": 4}),
}
"""The arguments of each of two workers, and of one that does the same alone."""


def draw(space: Any, rng: np.random.Generator) -> Any:
    """Return an element of `space`."""
    space.seed(int(rng.integers(2**31)))
    return space.sample()


def worth(tree: Any) -> float:
    """Return the sum of all numbers."""
    return sum(float(np.sum(leaf, dtype=float)) for _, leaf in leaves(tree))


def stacked(trees: Sequence[Any]) -> Any:
    """Return trees of the same form as one tree of stacks."""
    if is_mapping(trees[0]):
        return {name: stacked([tree[name] for tree in trees]) for name in trees[0]}
    if is_tuple(trees[0]):
        return tuple(stacked([tree[place] for tree in trees]) for place in range(len(trees[0])))
    return np.array(trees)


class Echo:
    """Shows elements of a space, and rewards every action with its worth."""

    def __init__(self, space: Any) -> None:
        self.observation_space = self.action_space = space
        self._rng = np.random.default_rng(0)
        self._left = 0

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        self._rng = np.random.default_rng(seed)
        self._left = int(self._rng.integers(1, 9))
        return draw(self.observation_space, self._rng), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise ValueError(f"{action!r} is not in {self.action_space}.")
        self._left -= 1
        return draw(self.observation_space, self._rng), worth(action), self._left == 0, False, {}

    def close(self) -> None:
        """There is nothing to close."""


class Random:
    """A policy that draws actions from a space, and says what it has seen."""

    def __init__(self, space: Any) -> None:
        self.space = space

    def get_actions(self, observations: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, Any]:
        seen = [worth(rows(observations, row)) for row in range(len(rngs))]
        return stacked([draw(self.space, rng) for rng in rngs]), {"seen": np.array(seen)}


def sample(sampler: Any) -> list[EpisodeBatch]:
    """Return two batches, and end the sampler."""
    batches = [sampler.obtain_samples(call, 60, None) for call in range(2)]
    sampler.shutdown_worker()
    return batches


@pytest.mark.parametrize("worker_class", WORKERS)
@pytest.mark.parametrize("name", SPACES)
def test_spaces_pass_through_every_worker(name: str, worker_class: Any) -> None:
    """Rows are elements of the space, in their places, and two processes give the bits of one."""
    space = SPACES[name]
    for_two, for_one = WORKERS[worker_class]
    factory = make_factory(worker_class=worker_class, worker_args=for_one)
    batches = sample(LocalSampler(factory, Random(space), Echo(space)))
    for batch in batches:
        for step in range(batch.n_steps):
            action, observation = rows(batch.actions, step), rows(batch.observations, step)
            assert space.contains(action)
            assert space.contains(observation)
            assert batch.rewards[step] == worth(action)
            assert batch.agent_infos["seen"][step] == worth(observation)
        assert all(space.contains(rows(batch.last_observations, e)) for e in range(batch.n_episodes))
    factory = make_factory(n_workers=2, worker_class=worker_class, worker_args=for_two)
    spread = sample(MultiprocessingSampler(factory, Random(space), Echo(space)))
    assert [batch.digest() for batch in spread] == [batch.digest() for batch in batches]
