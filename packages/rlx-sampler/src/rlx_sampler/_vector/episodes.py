"""Whole episodes in the lanes of a vector environment."""

from typing import Final, NamedTuple

import numpy as np

from rlx_sampler._batches.recorded import EpisodeChunk, Recorded
from rlx_sampler._batches.trees import Array
from rlx_sampler._keys import CallKey, EpisodeKey, EpisodeStreams
from rlx_sampler._policies.acting import Actor
from rlx_sampler._vector.environments import VectorEnvironment
from rlx_sampler._vector.episode_table import EpisodeTable
from rlx_sampler._vector.lanes import LaneStep, VectorLanes
from rlx_sampler._vector.shortest_prefix import ShortestPrefix
from rlx_sampler._workers.worker import Wanted

STEPS_BETWEEN_LOOKS: Final = 8
"""Steps after which it is looked again for what is needless, where no episode has ended."""


class _Waiting(NamedTuple):
    """An episode that has no lane yet."""

    key: EpisodeKey
    env_seed: int


class VectorEpisodes:
    """Runs one episode in each lane of a vector environment.

    Where lanes can be reset one by one, each episode gets its own seed and is the same as
    a single environment gives. Elsewhere a lane's next episode begins when the environment
    says so, and seeds are for all lanes together: whenever no episode is under way.

    Args:
        actor: The policy, with as many lanes as the environment.
        environment: The vector environment.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(self, actor: Actor, environment: VectorEnvironment, max_episode_length: int) -> None:
        self._lanes = VectorLanes(actor, environment)
        self._max_episode_length = max_episode_length
        self._age = np.zeros(environment.n_lanes, np.int64)
        self._number = np.zeros(environment.n_lanes, np.int64)
        """Row of the table of the episode in each lane."""
        self._table = EpisodeTable()
        self._waiting: list[_Waiting] = []
        self._ended: list[Array] = []
        """Rows of the table of the episodes that have ended since they were last taken."""

    @property
    def has_room(self) -> bool:
        """Whether another episode can be taken up."""
        return self._lanes.n_lanes - int(self._lanes.live.sum()) > len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        return not self._waiting and not self._lanes.live.any()

    @property
    def n_ended(self) -> int:
        """Number of episodes that ended since they were last taken."""
        return sum(map(len, self._ended))

    def abandon(self) -> None:
        """Drop all episodes; what comes next begins from a seed."""
        self._lanes.abandon()
        self._age[:] = 0
        self._table = EpisodeTable()
        self._waiting.clear()
        self._ended.clear()

    def start(self, key: EpisodeKey, streams: EpisodeStreams) -> None:
        """Take up the episode `key`: it begins in the next step that a lane is free for it."""
        self._lanes.call = CallKey(key.root, key.stream, key.call)
        self._waiting.append(_Waiting(key, streams.env_seed))

    def step(self) -> None:
        """Advance all lanes by one step and note the episodes that end.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        self._begin_waiting()
        self._step()

    def _step(self) -> int:
        """Advance all lanes; return how many episodes have ended."""
        lanes = self._lanes
        step = lanes.step(self._ages)
        self._age += lanes.live
        is_end = self._age >= self._max_episode_length
        is_end |= step.over
        is_end &= lanes.live
        if not np.count_nonzero(is_end):
            return 0
        (ended,) = np.nonzero(is_end)
        self._note_ends(ended, step)
        return len(ended)

    def _ages(self) -> str:
        """Say which step of their episodes the lanes are in."""
        ages = np.unique(self._age[self._lanes.live]).tolist()
        return ", ".join(map(str, ages[:4])) + (", ..." if len(ages) > 4 else "")

    def _note_ends(self, ended: Array, step: LaneStep) -> None:
        numbers = self._number[ended]
        last = self._lanes.last_observations(ended, step)
        self._table.note_ends(numbers, self._age[ended], step.ends(ended), last)
        self._ended.append(numbers)
        self._age[ended] = 0
        self._lanes.end(ended)

    def _begin_waiting(self) -> None:
        lanes = self._lanes
        if lanes.environment.has_seeded_lanes:
            free = np.flatnonzero(~lanes.live)[: len(self._waiting)]
            seeds = [waiting.env_seed for waiting in self._waiting[: len(free)]]
            lanes.reset(dict(zip(free.tolist(), seeds, strict=True)))
        else:
            lanes.reset({})
            if self._waiting and not lanes.live.any() and not lanes.begun.any():
                lanes.reset_all(min(self._waiting).env_seed)
            free = np.flatnonzero(lanes.begun & ~lanes.live)[: len(self._waiting)]
        begun, self._waiting = self._waiting[: len(free)], self._waiting[len(free) :]
        if begun:
            self._begin(free, np.array([waiting.key.episode for waiting in begun]))

    def _begin(self, lanes: Array, indices: Array) -> None:
        """Begin episodes of the present call in lanes that are at a beginning."""
        infos = self._lanes.beginning_infos
        self._number[lanes] = self._table.add(indices, lanes, self._lanes.buffer.now, infos)
        self._lanes.hand_to(lanes, indices)
        self._lanes.take_up(lanes)

    def run_all(self, wanted: Wanted) -> EpisodeChunk:
        """Run the episodes 0, 1, 2, ... of a call until the fewest are over that are wanted; return these.

        Lanes that cannot be seeded always take up the next episode, since they are stepped anyway;
        seeds cost a reset, and so they are given to as many as are probably needed.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        self.abandon()
        self._lanes.call = wanted.call
        self._lanes.buffer.make_room((wanted.n_steps or 0) // self._lanes.n_lanes)
        prefix = ShortestPrefix(wanted, self._table)
        has_ended = True
        while True:
            if has_ended or not self._lanes.environment.has_seeded_lanes:
                self._begin_next(prefix)
            elif self._lanes.standing.any():
                self._lanes.reset({})
            n_ended = self._step()
            has_ended = n_ended > 0
            if has_ended and (n_episodes := prefix.n_complete()) is not None:
                recorded = self._recorded(np.arange(n_episodes))
                return EpisodeChunk(range(n_episodes), [1] * n_episodes, recorded)
            self._drop_needless(prefix, has_ended=has_ended)

    def _begin_next(self, prefix: ShortestPrefix) -> None:
        """Begin the episodes that come next, in as many lanes as are free and worth it."""
        lanes, begun = self._lanes, self._table.n
        if not lanes.environment.has_seeded_lanes:
            lanes.reset({})
            if not (np.count_nonzero(lanes.begun) or np.count_nonzero(lanes.live)):
                lanes.reset_all(lanes.call.env_seeds(np.array([begun]))[0])
            free = np.nonzero(lanes.begun & ~lanes.live)[0][: prefix.room()]
        else:
            n_live = int(lanes.live.sum())
            count = prefix.n_worth_starting(n_live, int(self._age.sum()), lanes.n_lanes - n_live)
            free = np.flatnonzero(~lanes.live)[:count]
            seeds = lanes.call.env_seeds(np.arange(begun, begun + len(free)))
            lanes.reset(dict(zip(free.tolist(), seeds, strict=True)))
        if len(free):
            self._begin(free, np.arange(begun, begun + len(free)))

    def _drop_needless(self, prefix: ShortestPrefix, *, has_ended: bool) -> None:
        """End what the shortest prefix can no longer come to."""
        lanes = self._lanes
        if not has_ended and lanes.buffer.now % STEPS_BETWEEN_LOOKS:
            return
        live = np.flatnonzero(lanes.live)
        n_needed = prefix.n_needed(self._number[live], self._age[live])
        if n_needed is None:
            return
        needless = live[self._number[live] >= n_needed]
        if len(needless):
            self._age[needless] = 0
            lanes.end(needless)

    def take_ended(self) -> list[EpisodeChunk]:
        """Take the episodes that have ended since they were last taken off the buffer."""
        if not self._ended:
            return []
        numbers = np.concatenate(self._ended)
        numbers = numbers[np.argsort(self._table.index[numbers], kind="stable")]
        self._ended.clear()
        under_way = int(self._age.sum())
        together = self._chunk_of(numbers, under_way)
        columns = {**together.recorded.env_infos, **together.recorded.episode_infos}
        if all(column.present is None for column in columns.values()):
            return [together]
        return [self._chunk_of(numbers[at : at + 1], under_way) for at in range(len(numbers))]

    def _chunk_of(self, numbers: Array, under_way: int) -> EpisodeChunk:
        indices = self._table.index[numbers].tolist()
        return EpisodeChunk(indices, [1] * len(numbers), self._recorded(numbers), under_way)

    def _recorded(self, numbers: Array) -> Recorded:
        return self._table.recorded(numbers, self._lanes.buffer, self._lanes.n_lanes)
