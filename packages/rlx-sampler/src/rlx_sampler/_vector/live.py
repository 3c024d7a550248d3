"""A vector environment that lives on between keys, as a worker advances, saves and restores it."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._batches.trees import Array
from rlx_sampler._exactness import save_exactly
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._policies.acting import build_actor
from rlx_sampler._vector.environments import VectorEnvironment
from rlx_sampler._vector.fragments import VectorFragments
from rlx_sampler._workers.lane_worker import VecWorker
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import all_kept, seed_all
from rlx_sampler._workers.worker import Lease


class LiveVector:
    """The lanes of a worker's vector environment, or what they know while there are none."""

    def __init__(self) -> None:
        self._lanes: VectorFragments | None = None
        self._state: dict[str, Any] | None = None
        self.unsaved = ""
        """Name of the environment where it cannot be saved."""

    def forget(self) -> None:
        """Let all lanes begin again."""
        self._lanes = self._state = None

    def state(self) -> dict[str, Any] | None:
        """Return what the lanes know; None where nothing has begun."""
        return self._state if self._lanes is None else self._lanes.state()

    def load(self, state: dict[str, Any] | None) -> None:
        """Continue from what `state` returned, once there are lanes again."""
        self._lanes, self._state = None, state

    def save(self, environment: Any) -> list[bytes]:
        """Return the environment with what its lanes know; nothing where that is impossible."""
        state = self.state()
        return [] if state is None or self.unsaved else [save_exactly((environment, state))]

    def ready(self, worker: VecWorker, key: EpisodeKey) -> VectorFragments:
        """Return the lanes, which are built where there are none; `key` names an episode to try things with.

        Raises:
            TypeError: If the worker has no vector environment.
        """
        if self._lanes is None:
            vector: VectorEnvironment | None = worker.environments.vector()
            if vector is None:
                raise TypeError("the worker has no vector environment.")
            actor = build_actor(worker.policy, worker.n_lanes, worker.rows_needed(key), worker.may_merge)
            self._lanes = VectorFragments(actor, vector, worker.max_episode_length)
            self.unsaved = worker.environments.unsaved()
            worker.spaces = Spaces(worker.environments.all())
            if self._state is not None:
                self._lanes.load_state(self._state)
        return self._lanes

    def run(self, worker: VecWorker, steps_per_key: int, lease: Lease) -> Iterator[EpisodeChunk]:
        """Advance all lanes, one key each, until no more is wanted.

        The generators that belong to no episode are seeded for the first key of all lanes.

        Raises:
            EpisodeError: If the environment or the policy raises; all lanes begin again then.
        """
        while (share := share_of(lease, worker.n_lanes)) is not None:
            call, indices = share
            first = call.episode(int(indices[0]))
            lanes = self.ready(worker, first)
            try:
                with all_kept(worker.spaces):
                    seed_all(worker.spaces, first.streams())
                    chunks = lanes.advance(call, indices, steps_per_key, lease.is_over)
            except BaseException:
                self.forget()
                raise
            yield from chunks


def share_of(lease: Lease, n_lanes: int) -> tuple[CallKey, Array | range] | None:
    """Return a call and the numbers of `n_lanes` of its keys; None where there are fewer."""
    if (share := lease.next_range(n_lanes)) is not None:
        return share
    keys: list[EpisodeKey] = []
    while len(keys) < n_lanes and (key := lease.next_key()) is not None:
        keys.append(key)
    if len(keys) < n_lanes:
        return None
    first = keys[0]
    return CallKey(first.root, first.stream, first.call), np.array([key.episode for key in keys])
