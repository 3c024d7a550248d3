"""How a worker runs episodes: side by side, a whole call at once, or one at a time with all generators seeded."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Final, Protocol

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._vector.episodes import VectorEpisodes
from rlx_sampler._workers.environments import Environments
from rlx_sampler._workers.lanes import Lanes
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import RepeatableLease, StrayDrawError, Watch, all_kept, seed_all
from rlx_sampler._workers.worker import Lease, Wanted

STEPS_BETWEEN_LOOKS: Final = 16
"""Steps of all lanes for which ended episodes wait at most while some lanes have none."""


class Runnable(Protocol):
    """A worker as it is run here."""

    n_lanes: int
    spaces: Spaces
    environments: Environments

    @property
    def has_room(self) -> bool:
        """Whether another episode can start beside those under way."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        ...

    @property
    def n_ended(self) -> int:
        """Number of episodes that have ended since they were last taken."""
        ...

    def ready_lanes(self, key: EpisodeKey) -> Lanes | VectorEpisodes:
        """Return the lanes, which are built where there are none."""
        ...

    def begin(self, key: EpisodeKey) -> None:
        """Make `key` the key of the episode that starts next."""
        ...

    def start_episode(self) -> None:
        """Begin one episode in a free environment."""
        ...

    def step_episode(self) -> bool:
        """Take one step in every environment; return whether an episode has ended."""
        ...

    def take_ended(self) -> list[EpisodeChunk]:
        """Return the episodes that have ended since the last call."""
        ...

    def abandon(self) -> None:
        """Drop the episodes that are under way, and those that have ended."""
        ...


def run_together(worker: Runnable, lease: Lease, repeatable: RepeatableLease) -> Iterator[EpisodeChunk]:
    """Run episodes beside each other: a whole call where a vector environment may, or one after another.

    Raises:
        StrayDrawError: If that takes numbers from generators that belong to no episode.
        EpisodeError: If an environment or the policy raises.
    """
    wanted = None if worker.environments.vector() is None else lease.take_all()
    if wanted is None:
        yield from run_side_by_side(worker, repeatable)
    else:
        yield run_whole_call(worker, wanted)


def run_side_by_side(worker: Runnable, lease: RepeatableLease) -> Iterator[EpisodeChunk]:
    """Run episodes beside each other.

    Raises:
        StrayDrawError: If that takes numbers from generators that belong to no episode.
        EpisodeError: If an environment or the policy raises.
    """
    if (first := lease.next_key()) is None:
        return
    worker.ready_lanes(first)
    lease.take_back()
    worker.abandon()  # so that lanes fill up in the same order in every call
    watch = Watch(worker.spaces)
    try:
        for n_steps in itertools.count():
            is_full = _fill(worker, lease)
            is_time = not is_full and n_steps % STEPS_BETWEEN_LOOKS == 0
            if worker.n_ended >= worker.n_lanes or is_time or worker.is_idle:
                yield from _hand_over(worker, lease, watch)
            if worker.is_idle or lease.is_over():
                return
            worker.step_episode()
    except EpisodeError as error:
        if watch.has_seen_draw():
            raise StrayDrawError from error
        raise
    finally:
        worker.abandon()
        if watch.has_seen_draw():
            watch.put_back()


def run_whole_call(worker: Runnable, wanted: Wanted) -> EpisodeChunk:
    """Run all that a call wants in the lanes of a vector environment.

    Raises:
        StrayDrawError: If that takes numbers from generators that belong to no episode.
        EpisodeError: If the environment or the policy raises.
        TypeError: If the worker has no vector environment.
    """
    lanes = worker.ready_lanes(wanted.call.episode(0))
    if not isinstance(lanes, VectorEpisodes):
        raise TypeError("only a vector environment runs a whole call by itself.")
    watch = Watch(worker.spaces)
    try:
        chunk = lanes.run_all(wanted)
    except EpisodeError as error:
        if watch.has_seen_draw():
            watch.put_back()
            raise StrayDrawError from error
        raise
    finally:
        worker.abandon()
    if watch.has_seen_draw():
        watch.put_back()
        raise StrayDrawError
    return chunk


def _fill(worker: Runnable, lease: RepeatableLease) -> bool:
    """Start what there is room for; return whether every lane has an episode."""
    while worker.has_room:
        if (key := lease.next_key()) is None:
            return False
        worker.begin(key)
        worker.start_episode()
    return True


def _hand_over(worker: Runnable, lease: RepeatableLease, watch: Watch) -> Iterator[EpisodeChunk]:
    chunks = worker.take_ended()
    if chunks and watch.has_seen_draw():
        raise StrayDrawError
    for chunk in chunks:
        lease.hand_over(chunk.indices)
        yield chunk


def run_one_by_one(worker: Runnable, lease: RepeatableLease) -> Iterator[EpisodeChunk]:
    """Run one episode at a time, with the generators that belong to none seeded for it.

    Raises:
        EpisodeError: If an environment or the policy raises.
    """
    while (key := lease.next_key()) is not None:
        lanes = worker.ready_lanes(key)
        if isinstance(lanes, Lanes):
            lanes.seed = partial(seed_all, worker.spaces)
        try:
            with all_kept(worker.spaces):
                seed_all(worker.spaces, key.streams())
                worker.begin(key)
                worker.start_episode()
                while not worker.step_episode():
                    if lease.is_over():
                        return
            ended = worker.take_ended()
        finally:
            worker.abandon()
        yield from ended
