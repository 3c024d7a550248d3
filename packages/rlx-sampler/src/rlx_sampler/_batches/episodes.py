"""A batch of episodes: flat arrays over time, and the length of each episode."""

import hashlib
import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from rlx_sampler._batches import episode_checks as checks
from rlx_sampler._batches.episode_lists import episode_from_dict, episode_to_dict
from rlx_sampler._batches.padding import pad_episodes, padded_length, valid_steps
from rlx_sampler._batches.step_types import StepType, as_step_types
from rlx_sampler._batches.time_steps import TimeStepBatch
from rlx_sampler._batches.trees import (
    Array,
    ArrayTree,
    as_arrays,
    concatenate,
    leaves,
    map_leaves,
    rows,
    structure,
)
from rlx_sampler._checks import all_of

PER_STEP = ("observations", "actions", "rewards", "step_types", "env_infos", "agent_infos")
PER_EPISODE = ("last_observations", "lengths", "episode_infos", "complete")

DIGESTED = (
    "observations",
    "last_observations",
    "actions",
    "rewards",
    "step_types",
    "lengths",
    "env_infos",
    "agent_infos",
    "episode_infos",
    "complete",
)


def _nothing() -> Mapping[str, ArrayTree]:
    return {}


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeBatch:
    """N steps of E episodes, one episode after another.

    Observations and actions are arrays for Box, Discrete, MultiDiscrete and MultiBinary
    spaces, dicts of arrays for Dict and tuples of arrays for Tuple spaces.

    Args:
        observations: What the policy saw at each step, (N, ...).
        last_observations: What followed the last step of each episode, (E, ...).
        actions: What the policy did, (N, ...).
        rewards: In the environment's units, (N,).
        step_types: Values of `StepType`, (N,).
        lengths: Steps of each episode, (E,); they add up to N.
        env_infos: What the environment said at each step: arrays (N, ...) by name.
        agent_infos: What the policy said at each step: arrays (N, ...) by name.
        episode_infos: Facts about whole episodes: arrays (E, ...) by name.
        complete: False for a fragment whose end is only the end of the recording, (E,).
            Its last step is MID. Default: all True.
        env_spec: Garage's or gymnasium's description of the environment; the padded arrays are
            as long as the longest episode that it allows. It is no part of the digest.

    Raises:
        ValueError: If a field has another shape; the message gives both sizes.
    """

    __module__ = "rlx_sampler"  # what pickles name: inside, classes may move

    observations: ArrayTree
    last_observations: ArrayTree
    actions: ArrayTree
    rewards: Array
    step_types: Array
    lengths: Array
    env_infos: Mapping[str, ArrayTree] = field(default_factory=_nothing)
    agent_infos: Mapping[str, ArrayTree] = field(default_factory=_nothing)
    episode_infos: Mapping[str, ArrayTree] = field(default_factory=_nothing)
    complete: Array = field(default_factory=lambda: np.ones(0, bool))
    env_spec: Any = None

    def __post_init__(self) -> None:
        for name in PER_STEP + PER_EPISODE:
            object.__setattr__(self, name, as_arrays(getattr(self, name)))
        object.__setattr__(self, "step_types", as_step_types(self.step_types))
        checks.check_lengths(self.lengths)
        if not self.complete.size:
            object.__setattr__(self, "complete", np.ones(self.n_episodes, bool))
        for name in PER_STEP:
            checks.check_first_dimension(name, getattr(self, name), self.n_steps, "steps")
        for name in PER_EPISODE:
            checks.check_first_dimension(name, getattr(self, name), self.n_episodes, "episodes")
        checks.check_flat("rewards", self.rewards)
        checks.check_flat("step_types", self.step_types)
        checks.check_step_types(self.step_types)
        checks.check_same_rows(self.observations, self.last_observations)

    @property
    def n_steps(self) -> int:
        """Number of environment steps, N."""
        return int(self.lengths.sum())

    @property
    def n_episodes(self) -> int:
        """Number of episodes, E."""
        return len(self.lengths)

    @classmethod
    def concatenate(cls, *batches: Self) -> Self:
        """Join batches, in the order given.

        Raises:
            TypeError: If one is no batch.
            ValueError: If there is none, or they differ in what they hold.
        """
        if not batches:
            raise ValueError("there is no batch to concatenate: pass at least one.")
        all_of("batches", batches, cls, "batches of episodes")
        for name in PER_STEP + PER_EPISODE:
            wanted = structure(getattr(batches[0], name))
            for batch in batches[1:]:
                if structure(getattr(batch, name)) != wanted:
                    raise ValueError(
                        f"{name} holds {structure(getattr(batch, name))} in one batch and {wanted} in the "
                        f"first; only batches that hold the same can be joined."
                    )
        names = PER_STEP + PER_EPISODE
        joined = {name: concatenate([getattr(batch, name) for batch in batches]) for name in names}
        return cls(**joined, env_spec=batches[0].env_spec)

    def split(self) -> list[Self]:
        """Return one batch an episode; their arrays are views of this one's."""
        return [self._episode(index) for index in range(self.n_episodes)]

    def _episode(self, index: int) -> Self:
        stop = int(self.lengths[: index + 1].sum())
        steps = slice(stop - int(self.lengths[index]), stop)
        parts = {name: rows(getattr(self, name), steps) for name in PER_STEP}
        parts |= {name: rows(getattr(self, name), slice(index, index + 1)) for name in PER_EPISODE}
        return replace(self, **parts)

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict an episode, with the keys of garage's episode dicts.

        They are observations, next_observations, actions, rewards, step_types, env_infos,
        agent_infos and episode_infos.
        """
        return [episode_to_dict(episode) for episode in self.split()]

    @classmethod
    def from_list(cls, env_spec: Any, paths: Sequence[Mapping[str, Any]] | None = None) -> Self:
        """Build a batch from dicts as `to_list` gives them.

        `step_types` may be missing: it then follows from `dones` where there is one, and
        else every episode counts as timed out. The infos may be missing too.

        Args:
            env_spec: See the class; it may be left out, as in ``from_list(paths)``.
            paths: One dict an episode.

        Raises:
            TypeError: If `paths` holds something else than dicts.
            ValueError: If there is no episode, or a dict lacks a key that is needed.
        """
        spec, given = (None, env_spec) if paths is None else (env_spec, paths)
        episodes = all_of("paths", given, Mapping, "dicts of one episode each")
        return cls.concatenate(*(cls(**episode_from_dict(each), env_spec=spec) for each in episodes))

    def to_time_step_list(self) -> list[dict[str, Any]]:
        """Return one dict a step, with the keys of garage's time steps; every array has one row."""
        return TimeStepBatch.from_episode_batch(self).to_time_step_list()

    @property
    def episode_infos_by_episode(self) -> Mapping[str, ArrayTree]:
        """Garage's name for `episode_infos`."""
        return self.episode_infos

    @property
    def observations_list(self) -> list[ArrayTree]:
        """Observations of each episode."""
        return [episode.observations for episode in self.split()]

    @property
    def actions_list(self) -> list[ArrayTree]:
        """Actions of each episode."""
        return [episode.actions for episode in self.split()]

    @property
    def terminals(self) -> Array:
        """Whether the environment ended at each step, (N,), boolean."""
        return np.asarray(self.step_types == StepType.TERMINAL)

    @property
    def next_observations(self) -> ArrayTree:
        """The observation after each step, (N, ...)."""
        ends = np.cumsum(self.lengths) - 1

        def shift(now: Array, last: Array) -> Array:
            after = np.empty_like(now)
            after[:-1] = now[1:]
            after[ends] = last
            return after

        return map_leaves(shift, self.observations, self.last_observations)

    @property
    def undiscounted_returns(self) -> Array:
        """Sum of the rewards of each episode, (E,)."""
        starts = np.cumsum(self.lengths) - self.lengths
        return np.asarray(np.add.reduceat(self.rewards, starts))

    @property
    def valids(self) -> Array:
        """Mask of the real steps in the padded arrays, (E, width), boolean.

        The width is the longest episode that `env_spec` allows, or else the longest there is.
        """
        return valid_steps(self.lengths, padded_length(self.lengths, self.env_spec))

    @property
    def padded_observations(self) -> ArrayTree:
        """Observations, (E, width, ...), zero after each end."""
        return pad_episodes(self.observations, self.valids)

    @property
    def padded_next_observations(self) -> ArrayTree:
        """The observations that follow, (E, width, ...), zero after each end."""
        return pad_episodes(self.next_observations, self.valids)

    @property
    def padded_actions(self) -> ArrayTree:
        """Actions, (E, width, ...), zero after each end."""
        return pad_episodes(self.actions, self.valids)

    @property
    def padded_rewards(self) -> Array:
        """Rewards, (E, width), zero after each end."""
        return np.asarray(pad_episodes(self.rewards, self.valids))

    @property
    def padded_step_types(self) -> Array:
        """Step types, (E, width), zero after each end."""
        return np.asarray(pad_episodes(self.step_types, self.valids))

    @property
    def padded_env_infos(self) -> ArrayTree:
        """What the environment said, (E, width, ...) by name."""
        return pad_episodes(self.env_infos, self.valids)

    @property
    def padded_agent_infos(self) -> ArrayTree:
        """What the policy said, (E, width, ...) by name."""
        return pad_episodes(self.agent_infos, self.valids)

    def digest(self) -> str:
        """Return a hash of every bit of every field: equal for equal batches only."""
        hasher = hashlib.sha256()
        for name in DIGESTED:
            for path, leaf in sorted(leaves(getattr(self, name), name), key=lambda pair: pair[0]):
                hasher.update(f"{path} {leaf.dtype.str} {leaf.shape} ".encode())
                hasher.update(_bytes(leaf))
        return hasher.hexdigest()


def _bytes(leaf: Array) -> bytes:
    if not leaf.dtype.hasobject:
        return leaf.tobytes()
    written = io.BytesIO()
    pickler = pickle.Pickler(written, protocol=5)
    pickler.fast = True  # no memo: the bytes follow from the values, not from which objects are shared
    pickler.dump(leaf.tolist())
    return written.getvalue()
