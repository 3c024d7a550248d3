"""What a worker hands over for one key, and the batch made of many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlx_sampler._episodes import EpisodeBatch
from rlx_sampler._infos import Columns, InfoColumn, join_columns
from rlx_sampler._trees import Array, ArrayTree, concatenate, is_mapping, structure


@dataclass(frozen=True, slots=True)
class Recorded:
    """One episode, or the fragments of a stretch of time; unchecked, because the lanes made it.

    The fields are those of :class:`EpisodeBatch`, with the infos of environments as columns.
    """

    observations: ArrayTree
    last_observations: ArrayTree
    actions: ArrayTree
    rewards: Array
    step_types: Array
    lengths: Array
    complete: Array
    env_infos: Columns
    agent_infos: ArrayTree
    episode_infos: Columns

    @property
    def n_steps(self) -> int:
        """Number of environment steps."""
        return len(self.rewards)


def assemble(parts: Sequence[Recorded]) -> EpisodeBatch:
    """Join what was recorded, in the order given, into one batch."""
    _check_agent_infos(parts)
    return EpisodeBatch(
        observations=concatenate([part.observations for part in parts]),
        last_observations=concatenate([part.last_observations for part in parts]),
        actions=concatenate([part.actions for part in parts]),
        rewards=np.concatenate([part.rewards for part in parts]),
        step_types=np.concatenate([part.step_types for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        complete=np.concatenate([part.complete for part in parts]),
        env_infos=join_columns([part.env_infos for part in parts], [part.n_steps for part in parts]),
        agent_infos=concatenate([part.agent_infos for part in parts]),
        episode_infos=join_columns(
            [part.episode_infos for part in parts], [len(part.lengths) for part in parts]
        ),
    )


def _check_agent_infos(parts: Sequence[Recorded]) -> None:
    wanted = structure(parts[0].agent_infos)
    for part in parts[1:]:
        if structure(part.agent_infos) != wanted:
            raise ValueError(
                f"the policy's infos are {structure(part.agent_infos)} in one episode and {wanted} "
                f"in another; a policy must give the same names every time."
            )


def as_recorded(batch: EpisodeBatch) -> Recorded:
    """Return `batch`, as a worker of one's own gives it, for transport."""
    return Recorded(
        observations=batch.observations,
        last_observations=batch.last_observations,
        actions=batch.actions,
        rewards=batch.rewards,
        step_types=batch.step_types,
        lengths=batch.lengths,
        complete=batch.complete,
        env_infos=_columns(batch.env_infos),
        agent_infos=batch.agent_infos,
        episode_infos=_columns(batch.episode_infos),
    )


def _columns(infos: ArrayTree) -> Columns:
    return {path: InfoColumn(values, None) for path, values in _paths(infos)}


def _paths(tree: ArrayTree, prefix: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Array]]:
    if is_mapping(tree):
        return [pair for name, branch in tree.items() for pair in _paths(branch, (*prefix, name))]
    return [(prefix, tree)]
