"""Stretches of time instead of whole episodes, from environments that live on between calls."""

from collections.abc import Iterator
from typing import Any

from rlx_sampler._batches.recorded import Harvest
from rlx_sampler._errors import EpisodeError
from rlx_sampler._exactness import WorkerProfile, load_exactly, save_exactly
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._policies.acting import build_actor
from rlx_sampler._vector.live import LiveVector
from rlx_sampler._workers.fragment_seeds import FragmentSeeds
from rlx_sampler._workers.lane_worker import VecWorker
from rlx_sampler._workers.lanes import Lanes, LiveEpisode
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import Watch, all_kept, seed_all
from rlx_sampler._workers.worker import Lease


class FragmentWorker(VecWorker):
    """Advances each of its environments by a fixed number of steps for every key.

    For off-policy learning: no step is thrown away, and episodes go on in the next
    batch, also under another policy, which then remembers nothing of them. The end of a
    recording is MID, with `complete` False; `episode_infos` has `episode_return`,
    `episode_length` and, where an info `success` or `is_success` was there, `episode_success`
    since the episode began. All environments of all workers advance
    equally, so a batch may hold more steps than asked for. Batches depend on the total
    number of environments, not on how workers share them.

    Args:
        seed: See :class:`Worker`.
        max_episode_length: See :class:`Worker`.
        worker_number: See :class:`Worker`.
        n_envs: Number of environments, at least 1.
        timesteps_per_call: Steps of each environment for one key, at least 1.
        inference_rows: See :class:`VecWorker`.

    Raises:
        ValueError: If a number is below 1.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        max_episode_length: int,
        worker_number: int,
        n_envs: int = 8,
        timesteps_per_call: int = 16,
        inference_rows: int | None = None,
    ) -> None:
        super().__init__(
            seed=seed,
            max_episode_length=max_episode_length,
            worker_number=worker_number,
            n_envs=n_envs,
            inference_rows=inference_rows,
        )
        if timesteps_per_call < 1:
            raise ValueError(f"timesteps_per_call is {timesteps_per_call}; it must be at least 1.")
        self._steps_per_key = timesteps_per_call
        self._groups: list[Lanes] = []
        self._set_aside: list[tuple[Any, LiveEpisode | None]] = []
        """Environments, with what their lanes know, that go on when there are lanes again."""
        self._vector = LiveVector()

    def profile(self) -> WorkerProfile:
        """Return what the sampler has to know."""
        return WorkerProfile(
            self.n_lanes,
            self.inference_rows,
            self._steps_per_key,
            n_live=self.n_lanes if self.environments.vector() is None else 1,
            unsaved=self._vector.unsaved,
        )

    def forget_lanes(self) -> None:
        """Drop the episodes under way: policy or environments are others now."""
        super().forget_lanes()
        self._groups = []
        self._set_aside = []
        self._vector.forget()

    def _rebuild_lanes(self) -> None:
        """Let the episodes under way go on in other lanes."""
        under_way, state = self._under_way(), self._vector.state()
        self.forget_lanes()
        self._set_aside = under_way
        self._vector.load(state)

    def prepare(self, key: EpisodeKey) -> None:
        """Build the environments and find how many rows the policy needs."""
        if self.environments.vector() is None:
            self._ready_groups(key)
        else:
            self._vector.ready(self, key)

    def _ready_groups(self, key: EpisodeKey) -> list[Lanes]:
        """Return the lanes: all environments together, or one by one where the policy wants it so."""
        if not self._groups:
            with self.built_alike():
                self._groups = self._built_groups(key)
                self.spaces = Spaces(self.environments.all())
            self._go_on(key)
        return self._groups

    def _built_groups(self, key: EpisodeKey) -> list[Lanes]:
        policy, rows = self.policy, self.rows_needed(key)
        n_lanes = 1 if self.is_one_by_one else self.n_lanes
        together = build_actor(policy, n_lanes, rows, self.may_merge).n_lanes
        environments = self.environments.take(self.n_lanes)
        return [
            Lanes(
                build_actor(policy, together, rows, self.may_merge),
                environments[at : at + together],
                self.max_episode_length,
                tell_totals=True,
            )
            for at in range(0, self.n_lanes, together)
        ]

    def _lane(self, number: int) -> tuple[Lanes, int]:
        size = -(-self.n_lanes // len(self._groups))
        return self._groups[number // size], number % size

    def run(self, lease: Lease) -> Iterator[Harvest]:
        """Advance the environments, one key each, until no more is wanted."""
        if self.environments.vector() is not None:
            yield from self._vector.run(self, self._steps_per_key, lease)
            return
        while len(keys := self._keys(lease)) == self.n_lanes:
            yield from self._advance(keys, lease)

    def _keys(self, lease: Lease) -> list[EpisodeKey]:
        keys: list[EpisodeKey] = []
        while len(keys) < self.n_lanes and (key := lease.next_key()) is not None:
            keys.append(key)
        return keys

    def _advance(self, keys: list[EpisodeKey], lease: Lease) -> list[Harvest]:
        groups = self._ready_groups(keys[0])
        if self.is_one_by_one:
            return self._advance_one_by_one(groups, keys, lease)
        is_beginning = all(each is None for _, each in self._under_way())
        watch = Watch(self.spaces)
        try:
            advanced = self._advance_together(groups, keys, lease)
        except EpisodeError:
            if not (is_beginning and watch.has_seen_draw()):
                raise
            advanced = []
        if not watch.has_seen_draw():
            return advanced
        watch.put_back()
        self.has_strays = True
        if not is_beginning:
            self._rebuild_lanes()
            return advanced
        self.forget_lanes()
        return self._advance(keys, lease)

    def _advance_one_by_one(self, groups: list[Lanes], keys: list[EpisodeKey], lease: Lease) -> list[Harvest]:
        advanced: list[Harvest] = []
        for lanes, environment, key in zip(groups, self.environments.all(), keys, strict=True):
            spaces = Spaces([environment])
            with all_kept(spaces):
                seed_all(spaces, key.streams())
                advanced += self._advance_together([lanes], [key], lease)
        return advanced

    def _advance_together(self, groups: list[Lanes], keys: list[EpisodeKey], lease: Lease) -> list[Harvest]:
        size = -(-len(keys) // len(groups))
        advanced: list[Harvest] = []
        try:
            for group, at in zip(groups, range(0, len(keys), size), strict=True):
                advanced += _advance_group(group, keys[at : at + size], self._steps_per_key, lease)
        except BaseException:
            self.forget_lanes()
            raise
        return advanced

    def live_state(self) -> list[bytes]:
        """Return every environment, in mid-episode, with what its lane knows, or its lanes know."""
        if self.environments.vector() is not None:
            return self._vector.save(self.environments.take(1)[0])
        return [save_exactly(each) for each in self._under_way()]

    def _under_way(self) -> list[tuple[Any, LiveEpisode | None]]:
        if not self._groups:
            return self._set_aside
        places = [self._lane(number) for number in range(self.n_lanes)]
        lives = [lanes.live(lane) for lanes, lane in places]
        return list(zip(self.environments.take(self.n_lanes), lives, strict=True))

    def load_live_state(self, states: list[bytes]) -> None:
        """Go on with environments that :meth:`live_state` saved; without any, all begin anew."""
        restored = [load_exactly(state) for state in states]
        self.forget_lanes()
        if restored:
            self.environments.replace([environment for environment, _ in restored])
        if restored and self.environments.vector() is not None:
            ((_, state),) = restored
            self._vector.load(state)
        else:
            self._set_aside = restored

    def _go_on(self, key: EpisodeKey) -> None:
        for number, (_, live) in enumerate(self._set_aside):
            if live is not None:
                lanes, lane = self._lane(number)
                lanes.go_on(lane, key, live)
        self._set_aside = []


def _advance_group(lanes: Lanes, keys: list[EpisodeKey], n_steps: int, lease: Lease) -> list[Harvest]:
    """Advance lanes by `n_steps` steps, one key each."""
    seeds: list[FragmentSeeds] = []
    for lane, key in enumerate(keys):
        lanes.hand_to(lane, key)
        seeds.append(FragmentSeeds(key.streams().env_seed))
    for _ in range(n_steps):
        lease.is_over()  # a sign of life; a stretch of time is never given up
        for lane, key in enumerate(keys):
            if not lanes.is_running(lane):
                lanes.start_in(lane, key, seeds[lane].next())
        lanes.step()
    for lane in range(len(keys)):
        if lanes.is_running(lane):
            lanes.cut(lane)
    return lanes.harvest()
