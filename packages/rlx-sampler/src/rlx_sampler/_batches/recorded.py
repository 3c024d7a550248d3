"""What a worker hands over, and the batch made of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.infos import Columns, InfoColumn, join_columns
from rlx_sampler._batches.trees import Array, ArrayTree, is_mapping, map_leaves, structure


@dataclass(frozen=True, slots=True)
class Recorded:
    """Segments of experience, one after another; unchecked, because the lanes made them.

    A segment is an episode, or the part of one that a stretch of time saw. The fields are those
    of `EpisodeBatch`, with the infos of environments as columns. Where there are
    several segments, no column has gaps.
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


class Part(NamedTuple):
    """What belongs to one key, within what was recorded together."""

    recorded: Recorded
    steps: slice
    segments: slice
    is_given: bool = False
    """Whether nobody else keeps the arrays, so that a batch may have them without a copy."""

    @classmethod
    def of_all(cls, recorded: Recorded) -> "Part":
        """Return all of `recorded`, whose arrays nobody else keeps."""
        return cls(recorded, slice(0, len(recorded.rewards)), slice(0, len(recorded.lengths)), is_given=True)

    @property
    def n_steps(self) -> int:
        """Number of environment steps."""
        return int(self.steps.stop - self.steps.start)

    @property
    def n_segments(self) -> int:
        """Number of episodes or parts of them."""
        return int(self.segments.stop - self.segments.start)


@dataclass(frozen=True, slots=True)
class EpisodeChunk:
    """What was recorded together for several keys of one call, one after another."""

    indices: Sequence[int]
    """Episode numbers of the keys."""
    n_segments: Sequence[int]
    """Number of segments of each key."""
    recorded: Recorded
    under_way: int = 0
    """Steps that the worker has taken in other episodes, and not handed over."""

    def parts(self) -> list[Part]:
        """Return the part of each key."""
        segments = [slice(*pair) for pair in pairwise(accumulate(self.n_segments, initial=0))]
        lengths = self.recorded.lengths.tolist()
        steps = accumulate((sum(lengths[each]) for each in segments), initial=0)
        return [
            Part(self.recorded, slice(*pair), each)
            for pair, each in zip(pairwise(steps), segments, strict=True)
        ]


def assemble(parts: Sequence[Part]) -> EpisodeBatch:
    """Join parts, in the order given, into one batch."""
    _check_agent_infos([part.recorded for part in parts])
    is_given = len(parts) == 1 and parts[0].is_given

    def by_step(field: Callable[[Recorded], ArrayTree]) -> Any:
        trees = [field(part.recorded) for part in parts]
        return trees[0] if is_given else _join(trees, [part.steps for part in parts])

    def by_segment(field: Callable[[Recorded], ArrayTree]) -> Any:
        trees = [field(part.recorded) for part in parts]
        return trees[0] if is_given else _join(trees, [part.segments for part in parts])

    return EpisodeBatch(
        observations=by_step(lambda recorded: recorded.observations),
        last_observations=by_segment(lambda recorded: recorded.last_observations),
        actions=by_step(lambda recorded: recorded.actions),
        rewards=by_step(lambda recorded: recorded.rewards),
        step_types=by_step(lambda recorded: recorded.step_types),
        lengths=by_segment(lambda recorded: recorded.lengths),
        complete=by_segment(lambda recorded: recorded.complete),
        env_infos=join_columns(
            [_columns_at(part.recorded.env_infos, part.steps) for part in parts],
            [part.n_steps for part in parts],
            are_given=is_given,
        ),
        agent_infos=by_step(lambda recorded: recorded.agent_infos),
        episode_infos=join_columns(
            [_columns_at(part.recorded.episode_infos, part.segments) for part in parts],
            [part.n_segments for part in parts],
            are_given=is_given,
        ),
    )


def _join(trees: Sequence[ArrayTree], rows: Sequence[slice]) -> ArrayTree:

    def join(*leaves: Array) -> Array:
        return np.concatenate([leaf[index] for leaf, index in zip(leaves, rows, strict=True)])

    return map_leaves(join, *trees)


def _columns_at(columns: Columns, rows: slice) -> Columns:
    return {
        path: column if column.present is not None else InfoColumn(column.values[rows], None)
        for path, column in columns.items()
    }


def _check_agent_infos(recordings: Sequence[Recorded]) -> None:
    distinct = {id(recorded): recorded.agent_infos for recorded in recordings}
    wanted, *others = (structure(infos) for infos in distinct.values())
    for other in others:
        if other != wanted:
            raise ValueError(
                f"the policy's infos are {wanted} in one episode and {other} in another; "
                f"a policy must give the same names every time."
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
