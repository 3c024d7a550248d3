"""Episodes side by side in an environment that steps all of them at once."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rlx_sampler._batches.infos import Info, freeze_info
from rlx_sampler._batches.step_types import StepType
from rlx_sampler._batches.trees import ArrayTree, rows
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import EpisodeKey, EpisodeStreams
from rlx_sampler._policies.acting import Actor
from rlx_sampler._workers.environments import Environments
from rlx_sampler._workers.lanes import Lanes, LiveEpisode, Running
from rlx_sampler._workers.vector_environments import (
    FINAL_INFO,
    FINAL_OBSERVATION,
    IDLE_SEED,
    VectorEnvironment,
    VectorStep,
    final_observation,
    lane_info,
)


class _Waiting(NamedTuple):
    """An episode that has a lane and has not begun."""

    key: EpisodeKey
    env_seed: int


class _Beginning(NamedTuple):
    """How a lane stands at the beginning of an episode."""

    observation: ArrayTree
    info: Info


class VectorLanes(Lanes):
    """Runs one episode in each lane of a vector environment.

    Where lanes can be reset one by one, each episode gets its own seed and is the same as
    a single environment gives. Elsewhere a lane's next episode begins when the environment
    says so, and seeds are for all lanes together: whenever no episode is under way.

    Args:
        actor: The policy, with as many lanes as the environment.
        environment: The vector environment.
        max_episode_length: Steps after which an episode is cut off.

    Raises:
        TypeError: If the policy acts for fewer lanes than there are.
    """

    def __init__(self, actor: Actor, environment: VectorEnvironment, max_episode_length: int) -> None:
        if actor.n_lanes != environment.n_lanes:
            raise TypeError(
                f"the vector environment has {environment.n_lanes} lanes and the policy acts for "
                f"{actor.n_lanes}: it needs get_actions(observations, *, rngs), and inference_rows of at "
                f"least {environment.n_lanes} where it remembers what it saw."
            )
        super().__init__(actor, range(actor.n_lanes), max_episode_length)
        self._vector = environment
        self._waiting: dict[int, _Waiting] = {}
        self._beginnings: dict[int, _Beginning] = {}
        """Lanes that are at the beginning of an episode by themselves."""
        self._resetting: set[int] = set()
        """Lanes whose next step is a reset."""
        self._standing: set[int] = set()
        """Lanes that have ended and must be reset before the next step."""
        self._is_reset = False

    @property
    def has_room(self) -> bool:
        """Whether another episode can be taken up."""
        return len(self._free) > len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        return not self._running and not self._waiting

    def abandon(self) -> None:
        """Drop the episodes that are under way; what comes next begins from a seed."""
        super().abandon()
        self._waiting.clear()
        self._beginnings.clear()

    def start(self, key: EpisodeKey, streams: EpisodeStreams) -> None:
        """Take up the episode `key` in a free lane, if possible one that is at a beginning."""
        free = [lane for lane in reversed(self._free) if lane not in self._waiting]
        lane = next((lane for lane in free if lane in self._beginnings), free[0])
        self._actor.use(lane, key)
        self._waiting[lane] = _Waiting(key, streams.env_seed)

    def step(self) -> None:
        """Advance all lanes by one step and note the episodes that end.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        self._begin_waiting()
        answer, rewards = self._act(self._vector.n_lanes)
        step = self._step_environment(rows(answer.actions, slice(self._vector.n_lanes)))
        rewards[:] = step.rewards
        over = np.asarray(step.terminated) | np.asarray(step.truncated)
        self._present().place_all(step.observations)
        for lane, running in list(self._running.items()):
            if step.infos:
                self._note_info(lane, running, step)
            if over[lane] or self._recording.now >= running.stop:
                self.end(lane, StepType.TERMINAL if step.terminated[lane] else StepType.TIMEOUT)
        self._find_beginnings(step, np.flatnonzero(over).tolist())

    def _begin_waiting(self) -> None:
        if not self._waiting and not self._standing:
            return
        try:
            self._reset()
        except Exception as error:
            self._is_reset = False
            keys = tuple(waiting.key for waiting in self._waiting.values()) or self._under_way()
            raise EpisodeError("the vector environment's reset", keys, repr(error)) from error
        for lane in [lane for lane in self._waiting if lane in self._beginnings]:
            observation, info = self._beginnings.pop(lane)
            self._actor.forget(lane)
            self.go_on(lane, self._waiting.pop(lane).key, LiveEpisode(observation, 0, info))

    def _under_way(self) -> tuple[EpisodeKey, ...]:
        return tuple(running.key for running in self._running.values())

    def _reset(self) -> None:
        """Bring lanes to the beginning that an episode waits for, as far as the environment lets us."""
        if self._vector.has_seeded_lanes:
            self._reset_each()
            return
        if self._standing:
            lanes = sorted(self._standing)
            self._note(lanes, *self._vector.reset_lanes(dict.fromkeys(lanes)))
        if not self._running and not self._beginnings.keys() & self._waiting.keys():
            first = min(self._waiting.values())
            self._note(range(self._vector.n_lanes), *self._vector.reset_all(first.env_seed))

    def _reset_each(self) -> None:
        seeds: dict[int, int | None] = dict.fromkeys(sorted(self._standing), IDLE_SEED)
        seeds |= {lane: waiting.env_seed for lane, waiting in self._waiting.items()}
        if self._is_reset:
            self._note(seeds, *self._vector.reset_lanes(seeds))
        else:
            lanes = range(self._vector.n_lanes)
            self._note(lanes, *self._vector.reset_all([seeds.get(lane) or IDLE_SEED for lane in lanes]))

    def _note(self, lanes: Iterable[int], observations: ArrayTree, infos: Mapping[str, Any]) -> None:
        self._is_reset = True
        for lane in lanes:
            self._resetting.discard(lane)
            self._standing.discard(lane)
            self._beginnings[lane] = _Beginning(rows(observations, lane), freeze_info(lane_info(infos, lane)))

    def _step_environment(self, actions: ArrayTree) -> VectorStep:
        try:
            return self._vector.step(actions)
        except Exception as error:
            self._is_reset = False
            raise EpisodeError("the vector environment's step", self._under_way(), repr(error)) from error

    def _note_info(self, lane: int, running: Running, step: VectorStep) -> None:
        """Note the info of `lane`, and the true last observation of an episode that another has followed."""
        info, final = lane_info(step.infos, lane), final_observation(step, lane)
        if final is not None:
            self._present().place(lane, final)
            info = info.get(FINAL_INFO, {})
        if info:
            running.infos[self._recording.now - 1] = freeze_info(info)

    def _find_beginnings(self, step: VectorStep, ended: list[int]) -> None:
        """Find the lanes that the environment has brought to the beginning of an episode."""
        self._beginnings.clear()
        begun, self._resetting = self._resetting, set()
        at_once = [lane for lane in ended if final_observation(step, lane) is not None]
        if not self._vector.resets_itself:
            self._standing.update(ended)
            return
        self._resetting.update(set(ended) - set(at_once))
        self._note([*begun, *at_once], step.observations, _without_ends(step.infos))


def lanes_of(actor: Actor, environments: Environments, max_episode_length: int) -> Lanes:
    """Return lanes for `actor` in what a worker has: single environments, or a vector environment."""
    vector = environments.vector()
    if vector is None:
        return Lanes(actor, environments.take(actor.n_lanes), max_episode_length)
    return VectorLanes(actor, vector, max_episode_length)


def _without_ends(infos: Mapping[str, Any]) -> dict[str, Any]:
    ends = (*FINAL_OBSERVATION, FINAL_INFO)
    return {name: value for name, value in infos.items() if name.removeprefix("_") not in ends}
