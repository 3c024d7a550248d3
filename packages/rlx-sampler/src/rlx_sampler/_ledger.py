"""Which episodes a sampling call needs, which are out, and which are back."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rlx_sampler._recorded import Recorded


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
        mean_length: Guess at the length of an episode. It decides only how many are
            started early, never which are kept.
    """

    n_steps: int | None = None
    n_episodes: int | None = None
    n_workers: int | None = None
    mean_length: float = 0.0
    _next: dict[int, int] = field(default_factory=dict[int, int])
    _back: list[int] = field(default_factory=list[int])
    _out: set[int] = field(default_factory=set[int])
    _done: dict[int, Recorded] = field(default_factory=dict[int, Recorded])
    _prefix: int = 0
    _prefix_steps: int = 0

    @property
    def is_enough(self) -> bool:
        """Whether the prefix is complete."""
        if self.n_episodes is not None:
            return self._prefix >= self.n_episodes
        return self.n_steps is not None and self._prefix_steps >= self.n_steps

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
        if self.n_workers is not None:
            return index < self._prefix + self.n_workers  # no worker runs ahead of the others
        finished = sum(episode.n_steps for index, episode in self._done.items() if index >= self._prefix)
        expected = self._prefix_steps + finished + len(self._out) * self.mean_length
        return expected < self.n_steps or not self._out

    def add(self, index: int, episode: Recorded) -> None:
        """Take back a finished episode."""
        self._out.discard(index)
        self._done[index] = episode
        while not self.is_enough and self._prefix in self._done:
            self._prefix_steps += self._done[self._prefix].n_steps
            self._prefix += 1

    def give_back(self, indices: Sequence[int]) -> None:
        """Take back indices that were never finished, to be leased again."""
        self._out.difference_update(indices)
        self._back = sorted({*self._back, *indices})

    def kept(self) -> list[Recorded]:
        """Return the episodes of the prefix, in order."""
        return [self._done[index] for index in range(self._prefix)]
