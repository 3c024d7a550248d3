"""Time steps without their episodes, as garage's off-policy algorithms take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self

import numpy as np

from rlx_sampler._batches import episode_checks as checks
from rlx_sampler._batches.step_types import StepType, as_step_types
from rlx_sampler._batches.trees import Array, ArrayTree, as_arrays, concatenate, map_leaves, rows
from rlx_sampler._checks import all_of


class Episodes(Protocol):
    """A batch of episodes, as far as its time steps go."""

    @property
    def env_spec(self) -> Any: ...
    @property
    def observations(self) -> ArrayTree: ...
    @property
    def next_observations(self) -> ArrayTree: ...
    @property
    def actions(self) -> ArrayTree: ...
    @property
    def rewards(self) -> Array: ...
    @property
    def step_types(self) -> Array: ...
    @property
    def lengths(self) -> Array: ...
    @property
    def env_infos(self) -> Mapping[str, ArrayTree]: ...
    @property
    def agent_infos(self) -> Mapping[str, ArrayTree]: ...
    @property
    def episode_infos(self) -> Mapping[str, ArrayTree]: ...


@dataclass(frozen=True, eq=False)
class TimeStepBatch:
    """N steps, in any order, with garage's fields in garage's order.

    Args:
        env_spec: Description of the environment; only kept.
        episode_infos: Facts about the episode of each step: arrays (N, ...) by name.
        observations: What the policy saw, (N, ...).
        actions: What the policy did, (N, ...).
        rewards: In the environment's units, (N,).
        next_observations: What followed, (N, ...).
        agent_infos: What the policy said: arrays (N, ...) by name.
        env_infos: What the environment said: arrays (N, ...) by name.
        step_types: Values of `StepType`, (N,).

    Raises:
        ValueError: If a field has another number of rows.
    """

    __module__ = "rlx_sampler"  # what pickles name: inside, classes may move

    env_spec: Any
    episode_infos: Mapping[str, ArrayTree]
    observations: ArrayTree
    actions: ArrayTree
    rewards: Array
    next_observations: ArrayTree
    agent_infos: Mapping[str, ArrayTree]
    env_infos: Mapping[str, ArrayTree]
    step_types: Array

    def __post_init__(self) -> None:
        for name in _arrays():
            object.__setattr__(self, name, as_arrays(getattr(self, name)))
        object.__setattr__(self, "step_types", as_step_types(self.step_types))
        for name in _arrays():
            checks.check_first_dimension(name, getattr(self, name), len(self.rewards), "steps")
        checks.check_step_types(self.step_types)

    @property
    def terminals(self) -> Array:
        """Whether the environment ended at each step, (N,), boolean."""
        return np.asarray(self.step_types == StepType.TERMINAL)

    @classmethod
    def concatenate(cls, *batches: Self) -> Self:
        """Join batches, in the order given.

        Raises:
            ValueError: If there is none.
        """
        if not batches:
            raise ValueError("there is no batch to concatenate: pass at least one.")
        all_of("batches", batches, cls, "batches of time steps")
        joined = {name: concatenate([getattr(batch, name) for batch in batches]) for name in _arrays()}
        return cls(batches[0].env_spec, **joined)

    def split(self) -> list[Self]:
        """Return one batch a step; their arrays are views of this one's."""
        return [self._step(index) for index in range(len(self.rewards))]

    def _step(self, index: int) -> Self:
        step = {name: rows(getattr(self, name), slice(index, index + 1)) for name in _arrays()}
        return type(self)(self.env_spec, **step)

    def to_time_step_list(self) -> list[dict[str, Any]]:
        """Return one dict a step; every array has one row."""
        return [{name: getattr(step, name) for name in _arrays()} for step in self.split()]

    @classmethod
    def from_time_step_list(cls, env_spec: Any, ts_samples: Sequence[Mapping[str, Any]]) -> Self:
        """Build a batch from dicts as `to_time_step_list` gives them.

        Raises:
            ValueError: If there is none.
        """
        samples = all_of("ts_samples", ts_samples, Mapping, "dicts of one step each")
        return cls.concatenate(*(cls(env_spec, **sample) for sample in samples))

    @classmethod
    def from_episode_batch(cls, batch: Episodes) -> Self:
        """Return the steps of `batch`; what it says of an episode is said of each of its steps."""
        lengths = batch.lengths

        def repeated(leaf: Array) -> Array:
            return np.repeat(leaf, lengths, axis=0)

        return cls(
            env_spec=batch.env_spec,
            episode_infos=map_leaves(repeated, batch.episode_infos),
            observations=batch.observations,
            actions=batch.actions,
            rewards=batch.rewards,
            next_observations=batch.next_observations,
            agent_infos=batch.agent_infos,
            env_infos=batch.env_infos,
            step_types=batch.step_types,
        )


def _arrays() -> list[str]:
    return [each.name for each in fields(TimeStepBatch) if each.name != "env_spec"]
