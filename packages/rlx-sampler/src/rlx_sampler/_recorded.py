"""One finished episode as the workers hand it over, and the batch made of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlx_sampler._episodes import EpisodeBatch
from rlx_sampler._infos import Columns, InfoColumn, join_columns
from rlx_sampler._step_types import StepType, label_steps
from rlx_sampler._trees import Array, ArrayTree, concatenate, is_mapping, rows, stack, structure


@dataclass(frozen=True, slots=True)
class Recorded:
    """One episode of n steps; unchecked, because the lanes made it."""

    observations: ArrayTree
    last_observation: ArrayTree
    actions: ArrayTree
    rewards: Array
    end: StepType
    env_infos: Columns
    agent_infos: dict[str, ArrayTree]
    episode_infos: Columns

    @property
    def n_steps(self) -> int:
        """Number of environment steps."""
        return len(self.rewards)


def assemble(episodes: Sequence[Recorded]) -> EpisodeBatch:
    """Join recorded episodes, in the order given, into one batch."""
    lengths = [episode.n_steps for episode in episodes]
    _check_agent_infos(episodes)
    return EpisodeBatch(
        observations=concatenate([episode.observations for episode in episodes]),
        last_observations=stack([episode.last_observation for episode in episodes]),
        actions=concatenate([episode.actions for episode in episodes]),
        rewards=np.concatenate([episode.rewards for episode in episodes]),
        step_types=np.concatenate([label_steps(episode.n_steps, episode.end) for episode in episodes]),
        lengths=np.asarray(lengths),
        env_infos=join_columns([episode.env_infos for episode in episodes], lengths),
        agent_infos=concatenate([episode.agent_infos for episode in episodes]),
        episode_infos=join_columns([episode.episode_infos for episode in episodes], [1] * len(episodes)),
    )


def _check_agent_infos(episodes: Sequence[Recorded]) -> None:
    wanted = structure(episodes[0].agent_infos)
    for episode in episodes[1:]:
        if structure(episode.agent_infos) != wanted:
            raise ValueError(
                f"the policy's infos are {structure(episode.agent_infos)} in one episode and {wanted} "
                f"in another; a policy must give the same names every time."
            )


def as_recorded(batch: EpisodeBatch) -> Recorded:
    """Return the one episode of `batch`, as a worker of one's own gives it, for transport.

    Raises:
        ValueError: If the batch holds another number of episodes.
    """
    if batch.n_episodes != 1:
        raise ValueError(
            f"the worker's rollout() gave {batch.n_episodes} episodes; a keyed sampler asks for one at a time."
        )
    return Recorded(
        observations=batch.observations,
        last_observation=rows(batch.last_observations, 0),
        actions=batch.actions,
        rewards=batch.rewards,
        end=StepType(int(batch.step_types[-1])),
        env_infos=_columns(batch.env_infos),
        agent_infos=dict(batch.agent_infos),
        episode_infos=_columns(batch.episode_infos),
    )


def _columns(infos: ArrayTree) -> Columns:
    return {path: InfoColumn(values, None) for path, values in _paths(infos)}


def _paths(tree: ArrayTree, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Array]]:
    if is_mapping(tree):
        return [pair for name, branch in tree.items() for pair in _paths(branch, (*prefix, name))]
    return [(prefix, tree)]
