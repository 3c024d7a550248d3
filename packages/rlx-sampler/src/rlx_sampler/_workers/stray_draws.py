"""Draws from generators that belong to no episode: the global ones, and those of spaces.

Episodes side by side would take each other's numbers. So they run side by side only as long as
nobody draws there; once somebody does, what was not handed over is run again, one episode at a
time, with all these generators seeded for it.
"""

from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager

from rlx_sampler._global_generators import GlobalState, generators_kept, seed_globally
from rlx_sampler._keys import EpisodeKey, EpisodeStreams
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.worker import Lease


class StrayDrawError(Exception):
    """Somebody drew from a generator that belongs to no episode."""


class Watch:
    """Notices draws from the global generators and from `spaces` since it was made."""

    def __init__(self, spaces: Spaces) -> None:
        self._globals = GlobalState.read()
        self._spaces = spaces.read()

    def has_seen_draw(self) -> bool:
        """Whether somebody has drawn."""
        return not (self._spaces.is_present() and self._globals.is_present())

    def put_back(self) -> None:
        """Set all generators to where they were."""
        self._globals.put_back()
        self._spaces.put_back()


@contextmanager
def all_kept(spaces: Spaces) -> Generator[None]:
    """Put the global generators and those of `spaces` back at the end."""
    states = spaces.read()
    with generators_kept():
        try:
            yield
        finally:
            states.put_back()


def seed_all(spaces: Spaces, streams: EpisodeStreams) -> None:
    """Seed the global generators and those of `spaces` for an episode."""
    seed_globally(streams.global_seed)
    spaces.seed(streams.global_seed)


class RepeatableLease:
    """A lease that can give out again what was not handed over."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._first: deque[EpisodeKey] = deque()
        self._out: dict[int, EpisodeKey] = {}

    def next_key(self) -> EpisodeKey | None:
        """Return the key of the next episode to run, or None while there is none."""
        key = self._first.popleft() if self._first else self._lease.next_key()
        if key is not None:
            self._out[key.episode] = key
        return key

    def is_over(self) -> bool:
        """Whether nothing that is under way is wanted any more."""
        return self._lease.is_over()

    def hand_over(self, episodes: Iterable[int]) -> None:
        """Forget episodes, which are done."""
        for episode in episodes:
            self._out.pop(episode, None)

    def take_back(self) -> None:
        """Give out again, first of all and in the same order, whatever was not handed over."""
        self._first.extendleft(reversed(self._out.values()))
        self._out.clear()
