"""How many of the episodes 0, 1, 2, ... a call needs, found while they run."""

import math
from typing import Final

import numpy as np

from rlx_sampler._batches.trees import Array
from rlx_sampler._vector.episode_table import EpisodeTable
from rlx_sampler._workers.worker import Wanted

FEW: Final = 4
SHORT: Final = 8
"""A first call assumes, while nothing is known, few episodes where these would not be short."""


class ShortestPrefix:
    """Watches a table of episodes, whose rows are the episodes of one call in their order.

    Args:
        wanted: What is enough.
        table: The episodes that have begun.
    """

    def __init__(self, wanted: Wanted, table: EpisodeTable) -> None:
        self._wanted = wanted
        self._table = table
        self._n = 0
        """Episodes before which none is open."""
        self._n_steps = 0
        """Their steps."""
        self._is_closed = False
        """Whether no episode is needed that has not begun."""

    def n_complete(self) -> int | None:
        """Return how many episodes the batch has; None while one that it needs is under way."""
        if self._wanted.n_steps is not None and self._table.n_steps_over < self._wanted.n_steps:
            return None
        lengths = self._table.length[self._n : self._table.n]
        is_open = lengths == 0
        n_over = int(is_open.argmax()) if is_open.any() else len(lengths)
        if self._wanted.n_steps is None:
            self._n += n_over
            n_wanted = self._wanted.n_episodes
            return n_wanted if n_wanted is not None and self._n >= n_wanted else None
        steps = self._n_steps + np.cumsum(lengths[:n_over])
        enough = int(np.searchsorted(steps, self._wanted.n_steps))
        if enough < n_over:
            return self._n + enough + 1
        if n_over:
            self._n, self._n_steps = self._n + n_over, int(steps[-1])
        return None

    def n_needed(self, live: Array, ages: Array) -> int | None:
        """Return how many episodes can be needed at most; None while more may be than have begun.

        What is under way is at least as long as it is now: where the lengths so far are enough,
        no episode beyond can be in the shortest prefix.

        Args:
            live: Rows of the episodes that are under way.
            ages: Their steps so far.
        """
        if self._wanted.n_steps is None:
            return self._wanted.n_episodes
        if self._table.n_steps_over + int(ages.sum()) < self._wanted.n_steps:
            return None
        at_least = self._table.length[self._n : self._table.n].copy()
        at_least[live - self._n] = ages
        steps = self._n_steps + np.cumsum(at_least)
        if not len(steps) or steps[-1] < self._wanted.n_steps:
            return None
        self._is_closed = True
        return self._n + int(np.searchsorted(steps, self._wanted.n_steps)) + 1

    def room(self) -> int:
        """Return how many more episodes may begin."""
        if self._is_closed:
            return 0
        n_wanted = self._wanted.n_episodes
        return 2**62 if n_wanted is None else n_wanted - self._table.n

    def n_worth_starting(self, n_live: int, n_live_steps: int, n_free: int) -> int:
        """Return how many episodes to begin, so that there are probably enough when all are over.

        Args:
            n_live: Episodes under way.
            n_live_steps: Their steps so far.
            n_free: Free lanes.
        """
        n_steps, room = self._wanted.n_steps, self.room()
        if n_steps is None or room == 0:
            return min(n_free, room)
        lengths = self._table.length[: self._table.n]
        done, n_done = self._table.n_steps_over, int(np.count_nonzero(lengths))
        guess = n_steps / max(FEW, min(n_free + n_live, n_steps // SHORT))
        usual = self._wanted.mean_length or (done / n_done if n_done else guess)
        expected = done + max(n_live * usual, n_live_steps + n_live * usual / 2)
        at_least = 0 if n_live else 1
        return min(n_free, max(at_least, math.ceil((n_steps - expected) / usual)))
