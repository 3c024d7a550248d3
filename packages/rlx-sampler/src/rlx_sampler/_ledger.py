"""Which episodes a sampling call needs, which are out, and which are back."""

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from rlx_sampler._batches.recorded import EpisodeChunk, Part
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import CallKey
from rlx_sampler._workers.worker import Wanted

EPISODES_AT_FIRST: Final = 4
"""Episodes a worker that are started while nothing is known of their length."""


@dataclass(slots=True)
class Ledger:
    """Hands out episode indices and keeps the shortest prefix 0, 1, 2, … that is enough.

    The prefix is enough when it holds `n_steps` steps or `n_episodes` episodes. Which
    indices it has does not depend on who ran them or when; episodes beyond it are
    dropped, so that short ones are not preferred.

    Args:
        n_steps: Environment steps wanted; None where episodes are counted.
        n_episodes: Episodes wanted; None where steps are counted.
        n_workers: With pinned workers, episode i belongs to worker i mod `n_workers`;
            None where any worker may run any episode.
        n_sharing: Workers that run at the same time, for fair shares.
        mean_length: Guess at the length of an episode, or 0 where there is none. It decides
            only how many are started early, never which are kept.
        are_abreast: Whether a worker runs its episodes only all together: none of the others comes
            back then where one fails.
    """

    n_steps: int | None = None
    n_episodes: int | None = None
    n_workers: int | None = None
    n_sharing: int = 1
    mean_length: float = 0.0
    are_abreast: bool = False
    _next: dict[int, int] = field(default_factory=dict[int, int])
    _back: list[int] = field(default_factory=list[int])
    _out: set[int] = field(default_factory=set[int])
    _done: dict[int, Part] = field(default_factory=dict[int, Part])
    _failed: dict[int, EpisodeError] = field(default_factory=dict[int, EpisodeError])
    _kept: list[Part] = field(default_factory=list[Part])
    """The prefix."""
    is_taken_whole: bool = False
    """Whether one worker finds out by itself what is enough."""
    _prefix: int = 0
    _prefix_steps: int = 0
    _done_steps: int = 0
    _under_way: dict[int, int] = field(default_factory=dict[int, int])
    """Steps of episodes that are not back, by worker, as far as they are known."""

    @property
    def is_enough(self) -> bool:
        """Whether the prefix is complete."""
        if self.n_episodes is not None:
            return self._prefix >= self.n_episodes
        return self.n_steps is not None and self._prefix_steps >= self.n_steps

    def lease_many(self, worker: int, limit: int) -> list[int]:
        """Return the next indices for `worker`: at most `limit`, and its share of what is left."""
        share = limit if self.n_workers is not None else max(1, min(limit, self._left() // self.n_sharing))
        leased: list[int] = []
        while len(leased) < share and (index := self.lease(worker)) is not None:
            leased.append(index)
        return leased

    def _left(self) -> int:
        """Return how many more episodes are probably needed, beyond those that are out."""
        if self.n_episodes is not None:
            return self.n_episodes - self._prefix - len(self._out)
        if self.n_steps is None:
            return sys.maxsize
        return int((self.n_steps - self._done_steps) / self._usual_length(self.n_steps)) - len(self._out)

    def _usual_length(self, n_steps: int) -> float:
        """Return a guess at the length of an episode; by the first one, few episodes are enough."""
        if self.mean_length:
            return self.mean_length
        n_done = self._prefix + len(self._done)
        if n_done:
            return self._done_steps / n_done
        return n_steps / (EPISODES_AT_FIRST * self.n_sharing)

    def lease(self, worker: int = 0) -> int | None:
        """Return the next index for `worker`, or None while it looks as if none is needed."""
        if self.is_enough:
            return None
        returned = next((i for i in self._back if self._belongs(i, worker)), None)
        if returned is not None:
            self._back.remove(returned)
            self._out.add(returned)
            return returned
        slot = 0 if self.n_workers is None else worker
        index = self._next.get(slot, slot)
        if not self._is_wanted(index):
            return None
        self._next[slot] = index + (1 if self.n_workers is None else self.n_workers)
        self._out.add(index)
        return index

    def _belongs(self, index: int, worker: int) -> bool:
        return self.n_workers is None or index % self.n_workers == worker

    def _is_wanted(self, index: int) -> bool:
        if self.n_episodes is not None:
            return index < self.n_episodes
        if self.n_steps is None:
            return True
        if self.n_workers is not None:  # no worker runs far ahead of the others
            wanted = math.ceil((self.n_steps - self._prefix_steps) / self._usual_length(self.n_steps))
            return index < self._prefix + max(self.n_workers, wanted)
        return self._expected_steps(self.n_steps) < self.n_steps or not self._out

    def _expected_steps(self, n_steps: int) -> float:
        """Return how many steps there will be when all that is out is back.

        Short episodes end first: those that still run are longer than the mean, and half of
        it is a careful guess at what is left of each.
        """
        usual = len(self._out) * self._usual_length(n_steps)
        return self._done_steps + max(usual, sum(self._under_way.values()) + usual / 2)

    def take_all(self, call: CallKey) -> Wanted | None:
        """Lease the whole call, where only one worker has a part in it and nothing is out."""
        if self.n_workers not in (None, 1) or self._next or self._back:
            return None
        self.is_taken_whole = True
        return Wanted(call, self.n_steps, self.n_episodes, self.mean_length)

    def lease_range(self, count: int) -> range | None:
        """Return the next `count` indices, where only one worker has a part in the call and all are wanted."""
        first = self._next.get(0, 0)
        is_wanted = self.n_episodes is not None and first + count <= self.n_episodes
        if self.n_workers not in (None, 1) or self._back or not is_wanted:
            return None
        self._next[0] = first + count
        indices = range(first, first + count)
        self._out.update(indices)
        return indices

    def _add_next(self, chunk: EpisodeChunk) -> None:
        """Take back the episodes that follow on the prefix, all at once."""
        whole = Part.of_all(chunk.recorded)
        self._kept.append(whole)
        self._prefix += len(chunk.indices)
        self._prefix_steps += whole.n_steps
        self._done_steps += whole.n_steps
        self._out.difference_update(chunk.indices)

    def add(self, index: int, episode: Part) -> None:
        """Take back a finished episode.

        Raises:
            EpisodeError: If the prefix now reaches an episode that failed.
        """
        self._out.discard(index)
        self._done[index] = episode
        self._done_steps += episode.n_steps
        self._advance()

    def add_all(self, chunk: EpisodeChunk, worker: int = 0) -> None:
        """Take back finished episodes of `worker`.

        Raises:
            EpisodeError: If the prefix now reaches an episode that failed.
        """
        self._under_way[worker] = chunk.under_way
        if isinstance(chunk.indices, range) and chunk.indices.start == self._prefix:
            self._add_next(chunk)
            return
        for index, part in zip(chunk.indices, chunk.parts(), strict=True):
            self.add(index, part)

    def fail(self, index: int, error: EpisodeError) -> None:
        """Learn that an episode raised; it counts only if the prefix comes to it.

        Raises:
            EpisodeError: If the prefix is there already, or can never be.
        """
        if self.are_abreast:
            raise error
        self._out.discard(index)
        self._failed[index] = error
        self._advance()

    def _advance(self) -> None:
        while not self.is_enough and self._prefix in self._done:
            self._kept.append(self._done.pop(self._prefix))
            self._prefix_steps += self._kept[-1].n_steps
            self._prefix += 1
        if not self.is_enough and self._prefix in self._failed:
            raise self._failed[self._prefix]

    def give_back(self, indices: Iterable[int] | None = None) -> None:
        """Take back indices that were never finished, to be leased again; None means all that are out."""
        self._under_way.clear()
        indices = set(self._out if indices is None else indices)
        self._out.difference_update(indices)
        self._back = sorted({*self._back, *indices})

    def kept(self) -> list[Part]:
        """Return the episodes of the prefix, in order."""
        return self._kept
