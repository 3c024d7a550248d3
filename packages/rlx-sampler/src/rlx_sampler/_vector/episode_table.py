"""Episodes of a vector environment by their number: where each lies in the rollout buffer, and how it ended."""

from typing import Final

import numpy as np

from rlx_sampler._batches.recorded import Recorded
from rlx_sampler._batches.step_types import label_segments
from rlx_sampler._batches.trees import Array, ArrayTree, map_leaves, rows
from rlx_sampler._vector.infos import Beginnings, LaneInfos
from rlx_sampler._vector.rollout_buffer import RolloutBuffer

FIRST_SIZE: Final = 32


class EpisodeTable:
    """One row an episode, in the order in which they began: no object an episode, whatever their number."""

    def __init__(self) -> None:
        self.n = 0
        """Number of episodes that have begun."""
        self.n_steps_over = 0
        """Steps of the episodes that are over."""
        self._size = FIRST_SIZE
        self.index = np.zeros(FIRST_SIZE, np.int64)
        """Number of the episode within its call."""
        self.lane = np.zeros(FIRST_SIZE, np.int64)
        self.begin = np.zeros(FIRST_SIZE, np.int64)
        """Its first step in the buffer."""
        self.length = np.zeros(FIRST_SIZE, np.int64)
        """Its steps; 0 while it is under way."""
        self.end = np.zeros(FIRST_SIZE, np.int8)
        """Type of its last step."""
        self._last: ArrayTree = None
        self._beginnings = Beginnings()

    def add(self, indices: Array, lanes: Array, begin: int, infos: LaneInfos) -> Array:
        """Note episodes that begin with the step `begin` of the buffer; return their rows."""
        numbers = np.arange(self.n, self.n + len(indices))
        self.n += len(indices)
        while self.n > self._size:
            self._grow()
        self.index[numbers], self.lane[numbers] = indices, lanes
        self.begin[numbers], self.length[numbers] = begin, 0
        self._beginnings.note(numbers, lanes, infos)
        return numbers

    def _grow(self) -> None:
        self._size *= 2
        names = ("index", "lane", "begin", "length", "end")
        for name, grown in zip(names, (_doubled(getattr(self, name)) for name in names), strict=True):
            setattr(self, name, grown)
        self._last = None if self._last is None else map_leaves(_doubled, self._last)

    def note_ends(self, numbers: Array, lengths: Array, ends: Array, last_observations: ArrayTree) -> None:
        """Note that episodes have ended."""
        self.length[numbers] = lengths
        self.n_steps_over += int(lengths.sum())
        self.end[numbers] = ends
        if self._last is None:
            self._last = map_leaves(self._room_for, last_observations)

        def written(leaf: Array, last: Array) -> Array:
            wide = leaf if leaf.dtype == last.dtype else leaf.astype(np.result_type(leaf.dtype, last.dtype))
            wide[numbers] = last
            return wide

        self._last = map_leaves(written, self._last, last_observations)

    def _room_for(self, leaf: Array) -> Array:
        return np.zeros((self._size, *leaf.shape[1:]), leaf.dtype)

    def recorded(self, numbers: Array, buffer: RolloutBuffer, n_lanes: int) -> Recorded:
        """Take the episodes `numbers`, which have ended, off the buffer: one flat take a leaf."""
        lengths = self.length[numbers]
        offsets = np.cumsum(lengths) - lengths
        steps = np.arange(int(lengths.sum())) + np.repeat(self.begin[numbers] - offsets, lengths)
        places = steps * n_lanes + np.repeat(self.lane[numbers], lengths)
        everything = np.ones(len(numbers), bool)
        return Recorded(
            observations=buffer.take("observations", places),
            last_observations=rows(self._last, numbers),
            actions=buffer.take("actions", places),
            rewards=buffer.take("rewards", places),
            step_types=label_segments(lengths, self.end[numbers], everything),
            lengths=lengths,
            complete=everything,
            env_infos=buffer.take_infos(places),
            agent_infos=buffer.take("agent infos", places),
            episode_infos=self._beginnings.columns(numbers),
        )


def _doubled(array: Array) -> Array:
    return np.concatenate([array, np.zeros_like(array)])
