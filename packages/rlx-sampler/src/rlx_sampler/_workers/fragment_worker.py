"""Stretches of time instead of whole episodes, from environments that live on between calls."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._batches.trees import ArrayTree
from rlx_sampler._checks import whole_number
from rlx_sampler._errors import EpisodeError
from rlx_sampler._exactness import WorkerProfile, load_exactly
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._offers import is_policy
from rlx_sampler._parameter_trees import copy_of_parameters
from rlx_sampler._policies.acting import build_actor
from rlx_sampler._policies.memory import forgets_all_at_once
from rlx_sampler._vector.live import LiveVector
from rlx_sampler._workers.lane_groups import (
    Group,
    LaneGroups,
    LaneState,
    loaded,
    policies_of_groups,
    savable,
    saved,
    without_policies,
)
from rlx_sampler._workers.lane_worker import VecWorker
from rlx_sampler._workers.lanes import Lanes
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import StrayDrawError, Watch
from rlx_sampler._workers.worker import Lease, built_alike


class FragmentWorker(VecWorker):
    """Advances each of its environments by a fixed number of steps for every key.

    For off-policy learning: no step is thrown away, and episodes continue in the next
    batch, also under another policy, which then remembers nothing of them. The end of a
    recording is MID, with `complete` False; `episode_infos` has `episode_return`,
    `episode_length` and, where an info `success` or `is_success` was there, `episode_success`
    since the episode began. All environments of all workers advance
    equally, so a batch may hold more steps than asked for. Batches depend on the total
    number of environments, not on how workers share them.

    Args:
        seed: See `Worker`.
        max_episode_length: See `Worker`.
        worker_number: See `Worker`.
        n_envs: Number of environments, at least 1.
        timesteps_per_call: Steps of each environment for one key, at least 1.
        inference_rows: See `VecWorker`.

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
        self._steps_per_key = whole_number("timesteps_per_call", timesteps_per_call, at_least=1)
        self._groups: LaneGroups | None = None
        self._set_aside: Sequence[LaneState] = ()
        """Environments, with their live episodes, that continue when there are lanes again."""
        self._strayed_late = False
        self._parted = ""
        self._vector = LiveVector()

    def profile(self) -> WorkerProfile:
        """Return what the sampler has to know."""
        return WorkerProfile(
            self.n_lanes,
            self.inference_rows,
            self._steps_per_key,
            obstacle_to_check=self.environments.obstacle_to_check(),
            strayed_late=self._strayed_late,
            parted=self._parted,
            has_vector=self.environments.vector() is not None,
            n_live=self.n_lanes if self.environments.vector() is None else 1,
            unsaved=self._vector.unsaved,
        )

    def forget_lanes(self) -> None:
        """Drop the episodes under way: policy or environments are others now."""
        super().forget_lanes()
        self._groups = None
        self._set_aside = ()
        self._vector.forget()

    def _rebuild_lanes(self) -> None:
        """Let the episodes under way continue in other lanes, with a policy that remembers nothing of them."""
        if self._groups is not None:
            under_way = self._under_way()
            self.forget_lanes()
            self._set_aside = without_policies(under_way)
        self._vector.load(self._vector.state())

    def _under_way(self) -> Sequence[LaneState]:
        return self._set_aside if self._groups is None else self._groups.states()

    def update_agent(self, agent_update: Any) -> None:
        """Take a policy, or parameters for `set_param_values` of the present one.

        Raises:
            TypeError: If there are parameters but no policy yet.
        """
        super().update_agent(agent_update)
        if agent_update is None:
            return
        if is_policy(agent_update):
            self._set_aside = without_policies(self._set_aside)
            return
        for policy in [] if self._groups is None else self._groups.policies:
            policy.set_param_values(copy_of_parameters(agent_update))

    def prepare(self, key: EpisodeKey) -> None:
        """Build the environments and find how many rows the policy needs."""
        if self.environments.vector() is None:
            self._ready_groups(key)
        else:
            self._vector.ready(self, key)

    def _ready_groups(self, key: EpisodeKey) -> LaneGroups:
        if self._groups is None:
            with built_alike(self):
                self._groups = self._built_groups(key)
                self.spaces = Spaces(self.environments.all())
            self._groups.go_on(self._set_aside, key)
            self._set_aside = ()
        return self._groups

    def _built_groups(self, key: EpisodeKey) -> LaneGroups:
        """Return all environments in one group, or in several where the policy acts for fewer at a time."""
        environments = [state.environment for state in self._set_aside]
        environments = environments or savable(self.environments.take(self.n_lanes))
        rows = self.rows_needed(key)
        remembers = self.has_memory(self.policy, partial(self.observation, key), rows)
        is_alone = self.is_one_by_one or (remembers and forgets_all_at_once(self.policy))
        size = build_actor(self.policy, 1 if is_alone else self.n_lanes, rows, self.may_merge).n_lanes
        policies = policies_of_groups(self.policy, self._set_aside, self.n_lanes, size, remembers=remembers)
        self._policy = policies[0]
        groups: list[Group] = []
        for number, policy in enumerate(policies):
            part = environments[number * size : (number + 1) * size]
            actor = build_actor(policy, size, rows, self.may_merge)
            groups.append(Group(Lanes(actor, part, self.max_episode_length, tell_totals=True), part, policy))
        return LaneGroups(groups, remembers=remembers, steps_per_key=self._steps_per_key)

    def observation(self, key: EpisodeKey) -> ArrayTree:
        """Return an observation to try the policy with, of an episode that is under way where there are some."""
        under_way = [state.episode for state in self._set_aside if state.episode is not None]
        if under_way:
            return under_way[0].observation
        return super().observation(key)

    def run(self, lease: Lease) -> Iterator[EpisodeChunk]:
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

    def _advance(self, keys: list[EpisodeKey], lease: Lease) -> list[EpisodeChunk]:
        groups = self._ready_groups(keys[0])
        try:
            if self.is_one_by_one:
                return groups.advance_one_by_one(keys, lease)
            return self._advance_watched(groups, keys, lease)
        except StrayDrawError:
            self.has_strays = True
            self.forget_lanes()
            return self._advance(keys, lease)
        except BaseException:
            self.forget_lanes()
            raise

    def _advance_watched(
        self, groups: LaneGroups, keys: list[EpisodeKey], lease: Lease
    ) -> list[EpisodeChunk]:
        """Advance all environments together, as long as nobody draws from generators that belong to no episode."""
        is_beginning = groups.is_beginning()
        watch = Watch(self.spaces)
        try:
            advanced = groups.advance(keys, lease)
        except EpisodeError as error:
            if is_beginning and watch.has_seen_draw():
                raise StrayDrawError from error
            raise
        finally:
            has_strayed = watch.has_seen_draw()
            if has_strayed:
                watch.put_back()
        if has_strayed and is_beginning:
            raise StrayDrawError
        if has_strayed:
            self.has_strays = self._strayed_late = True
            self._rebuild_lanes()
        return advanced

    def live_state(self) -> list[bytes]:
        """Return every environment, in mid-episode, with what its lane and the policy know."""
        if self.environments.vector() is not None:
            return self._vector.save(self.environments.take(1)[0])
        return [saved(state._replace(has_strays=self.has_strays)) for state in self._under_way()]

    def load_live_state(self, states: list[bytes]) -> None:
        """Continue with environments that `live_state` saved; without any, all begin again."""
        self.forget_lanes()
        if states and self.environments.vector() is not None:
            environment, state = load_exactly(states[0])
            self.environments.replace([environment])
            self._vector.load(state)
        elif states:
            self._set_aside, self._parted = loaded(states, self.environments)
            self.has_strays = any(state.has_strays for state in self._set_aside)
