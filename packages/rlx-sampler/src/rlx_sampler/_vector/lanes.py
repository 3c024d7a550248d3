"""The lanes of an environment that steps all of them at once: one call of policy and environment a step."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._batches.step_types import StepType
from rlx_sampler._batches.trees import Array, ArrayTree, flat, map_leaves, rows
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._policies.acting import Actor
from rlx_sampler._vector.environments import IDLE_SEED, VectorEnvironment, VectorStep
from rlx_sampler._vector.infos import LaneInfos, StepInfos, final_rows, lane_infos, split
from rlx_sampler._vector.rollout_buffer import RolloutBuffer
from rlx_sampler._workers.stack import ObservationStack

TERMINAL: Final = np.int8(StepType.TERMINAL)
TIMEOUT: Final = np.int8(StepType.TIMEOUT)
KEPT: Final = ("live", "begun", "beginning_infos", "resetting", "standing", "is_reset", "last_actions")
"""What continues beyond a call, beside the observations."""
NOTHING_SAID: Final = StepInfos({}, {}, None, None)


class LaneStep(NamedTuple):
    """What became of the lanes in one step; each array has one value a lane."""

    rewards: Array
    over: Array
    """Which the environment has ended."""
    terminated: Array
    was_reset: Array
    """Which were reset in place of a step."""
    infos: StepInfos

    def ends(self, lanes: Array) -> Array:
        """Return the type of this step in `lanes`, where it was the last of an episode."""
        return np.where(self.terminated[lanes], TERMINAL, TIMEOUT)


class VectorLanes:
    """Steps a vector environment, records every step, and knows which lanes are at the beginning of an episode.

    Whoever runs episodes says which lanes are live; the others are stepped too, and what they do
    is never read.

    Args:
        actor: The policy, with as many lanes as the environment.
        environment: The vector environment.

    Raises:
        TypeError: If the policy acts for fewer lanes than there are.
    """

    def __init__(self, actor: Actor, environment: VectorEnvironment) -> None:
        n_lanes = environment.n_lanes
        _check_lanes(actor, n_lanes)
        self.actor = actor
        self.environment = environment
        self.n_lanes = n_lanes
        self.buffer = RolloutBuffer(n_lanes)
        self.call = CallKey(0, 0, 0)
        self.episodes = np.zeros(n_lanes, np.int64)
        """Episode numbers of the keys that the lanes run, or ran last."""
        self.live = np.zeros(n_lanes, bool)
        """Lanes in which an episode is under way."""
        self.begun = np.zeros(n_lanes, bool)
        """Lanes at the beginning of an episode that nobody has taken up."""
        self.beginning_infos: LaneInfos = {}
        """What those were told."""
        self.resetting = np.zeros(n_lanes, bool)
        """Lanes whose next step is a reset."""
        self.standing = np.zeros(n_lanes, bool)
        """Lanes that have ended and must be reset before the next step."""
        self.is_reset = False
        self._stack: ObservationStack | None = None
        self.last_actions: ArrayTree = None

    @property
    def observations(self) -> ObservationStack:
        """The present observations.

        Raises:
            RuntimeError: If there are none yet.
        """
        if self._stack is None:
            raise RuntimeError("no episode is under way: call start() first.")
        return self._stack

    def keys(self) -> tuple[EpisodeKey, ...]:
        """Return the keys of the episodes under way."""
        return tuple(map(self.call.episode, self.episodes[self.live].tolist()))

    def abandon(self) -> None:
        """Drop the episodes that are under way; what comes next begins from a seed."""
        self.actor.rest_many(np.arange(self.n_lanes))
        self.live[:] = False
        self.begun[:] = False
        self.buffer.clear()

    def state(self) -> dict[str, Any]:
        """Return what continues beyond a call, as arrays, beside the environment itself."""
        tree = self._stack and rows(self._stack.tree, slice(self.n_lanes))
        return {name: getattr(self, name) for name in KEPT} | {"observations": tree}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state` returned."""
        for name in KEPT:
            setattr(self, name, state[name])
        if state["observations"] is not None:
            self._stack = ObservationStack(self.actor.n_rows, rows(state["observations"], 0))
            self._stack.place_all(state["observations"], self.n_lanes)

    def take_up(self, lanes: Array) -> None:
        """Begin an episode in each of `lanes`, which are at a beginning."""
        self.begun[lanes] = False
        self.live[lanes] = True
        self.actor.forget_many(lanes)

    def hand_to(self, lanes: Array, episodes: Array) -> None:
        """Let what happens in `lanes` from now on belong to these episodes of the present call."""
        self.episodes[lanes] = episodes
        self.actor.use_many(lanes, self.call, episodes)

    def end(self, lanes: Array) -> None:
        """Let the episodes in `lanes` be over."""
        self.live[lanes] = False
        self.actor.rest_many(lanes)

    def reset(self, seeds: Mapping[int, int | None]) -> None:
        """Bring lanes to the beginning of an episode, and those that must be reset before a step.

        Args:
            seeds: The seed of each lane; empty, or None each, where lanes cannot be seeded one by one.

        Raises:
            EpisodeError: If the environment raises.
        """
        if not seeds and not np.count_nonzero(self.standing):
            return
        wanted = {**dict.fromkeys(np.flatnonzero(self.standing).tolist(), IDLE_SEED), **seeds}
        if self.is_reset or not self.environment.has_seeded_lanes:
            self._reset(list(wanted), lambda: self.environment.reset_lanes(wanted))
        else:
            all_lanes = range(self.n_lanes)
            all_seeds = [wanted.get(lane) or IDLE_SEED for lane in all_lanes]
            self._reset(all_lanes, lambda: self.environment.reset_all(all_seeds))

    def reset_all(self, seed: int) -> None:
        """Bring all lanes to the beginning of an episode, from one seed; see `reset` for errors."""
        self._reset(range(self.n_lanes), lambda: self.environment.reset_all(seed))

    def _reset(self, lanes: Any, reset: Any) -> None:
        lanes = np.asarray(lanes, np.int64)
        try:
            observations, infos = reset()
            self._place(observations, lanes)
        except Exception as error:
            self.is_reset = False
            keys = self.keys() or (self.call.episode(int(self.episodes[0])),)
            raise EpisodeError("the vector environment's reset", keys, repr(error)) from error
        self.is_reset = True
        self.begun[lanes] = True
        self.resetting[lanes] = self.standing[lanes] = False
        self.beginning_infos = lane_infos(infos, self.n_lanes)

    def _place(self, observations: ArrayTree, lanes: Array) -> None:
        """Take over the observations of `lanes`.

        Raises:
            ValueError: If there is not one a lane, or a lane that was not reset has another one than before.
        """
        if self._stack is None:
            self._stack = ObservationStack(self.actor.n_rows, rows(observations, 0))
            lanes = np.arange(self.n_lanes)
        if len(lanes) == self.n_lanes:
            self._stack.place_all(observations, self.n_lanes)
        else:
            if self.environment.keeps_other_lanes:
                others = np.setdiff1d(np.arange(self.n_lanes), lanes)
                _check_others(
                    rows(observations, others), rows(self._stack.tree, others), self.environment.name
                )
            self._stack.place_some(observations, lanes)

    def step(self, step_number: Any) -> LaneStep:
        """Advance all lanes by one step, with the policy's actions for those that are live.

        Args:
            step_number: Returns what to call the step in an error.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        actions = self._act()
        try:
            step = self.environment.step(actions)
            was_reset, over = self.resetting, step.terminated | step.truncated
            infos = split(step.infos, over, was_reset) if step.infos else NOTHING_SAID
            self.observations.place_all(step.observations, self.n_lanes)
            self.buffer.write("rewards", step.rewards)
            self.buffer.write_infos(infos.step)
        except Exception as error:
            self.is_reset = False
            where = f"the vector environment's step {step_number()}"
            raise EpisodeError(where, self.keys(), repr(error)) from error
        self.buffer.advance()
        self._find_beginnings(step, over, infos)
        return LaneStep(step.rewards, over, step.terminated, was_reset, infos)

    def _act(self) -> ArrayTree:
        try:
            (lanes,) = np.nonzero(self.live)
            if not len(lanes):  # all are only reset in this step
                return self.last_actions
            answer, lanes_of_rows = self.actor.act_for(self.observations.tree, lanes)
            self.last_actions = actions = _of_all(
                answer.actions, lanes_of_rows, self.last_actions, self.n_lanes
            )
            self.buffer.write("observations", self.observations.tree)
            self.buffer.write("actions", actions)
            self.buffer.write("agent infos", answer.infos, lanes_of_rows)
        except Exception as error:
            raise EpisodeError("the policy", self.keys(), repr(error)) from error
        return actions

    def _find_beginnings(self, step: VectorStep, over: Array, infos: StepInfos) -> None:
        """Find the lanes that the environment has brought to the beginning of an episode."""
        self.beginning_infos = infos.beginning
        if not self.environment.resets_itself:
            self.standing |= over
            self.begun = np.zeros(self.n_lanes, bool)
        elif infos.has_final is None:
            self.begun, self.resetting = self.resetting, over
        else:
            self.begun = self.resetting | infos.has_final
            self.resetting = over & ~infos.has_final

    def last_observations(self, lanes: Array, step: LaneStep) -> ArrayTree:
        """Return what followed the last step in `lanes`: not what has begun there since."""
        last = rows(self.observations.tree, lanes)
        if step.infos.has_final is None:
            return last
        is_final = step.infos.has_final[lanes]
        if not is_final.any():
            return last
        finals = final_rows(step.infos, lanes[is_final], rows(last, is_final))

        def replaced(leaf: Array, final: Array) -> Array:
            leaf[is_final] = final
            return leaf

        return map_leaves(replaced, last, finals)


def _check_others(given: ArrayTree, had: ArrayTree, name: str) -> None:
    """Raise ValueError unless lanes that were not to be reset have the observations that they had."""
    for each, before in zip(flat(given), flat(had), strict=True):
        if not np.array_equal(each, before):
            raise ValueError(
                f"{name} ignores options['reset_mask']: lanes that were not to be reset have other "
                f"observations now; let it reset its lanes by itself (NEXT_STEP or SAME_STEP)"
            )


def _of_all(given: ArrayTree, lanes: Array | None, before: ArrayTree, n_lanes: int) -> ArrayTree:
    """Return an action for each lane: those that were given none repeat their last one.

    Args:
        given: Actions, one row for each of `lanes`, or for all where that is None; more rows are padding.
        lanes: Lanes of the rows.
        before: Actions of the step before; None at the first.
        n_lanes: Number of lanes.
    """
    if lanes is None:
        return rows(given, slice(n_lanes))

    def renewed(now: Array, last: Array) -> Array:
        actions = last.astype(np.result_type(last.dtype, now.dtype))
        actions[lanes] = now[: len(lanes)]
        return actions

    def repeated(leaf: Array) -> Array:
        return np.repeat(leaf[:1], n_lanes, axis=0)

    return map_leaves(renewed, given, map_leaves(repeated, given) if before is None else before)


def _check_lanes(actor: Actor, n_lanes: int) -> None:
    """Raise TypeError unless the policy acts for `n_lanes`."""
    if actor.n_lanes != n_lanes:
        raise TypeError(
            f"the vector environment has {n_lanes} lanes and the policy acts for {actor.n_lanes}: it needs "
            f"get_actions(observations, *, rngs), and inference_rows of at least {n_lanes} where it remembers "
            f"what it saw."
        )
