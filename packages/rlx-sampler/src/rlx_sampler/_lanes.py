"""Episodes side by side: the one loop that steps environments and records what happens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._acting import Actor, Answer
from rlx_sampler._errors import EpisodeError
from rlx_sampler._infos import Info, freeze_info, to_columns
from rlx_sampler._keys import EpisodeKey, EpisodeStreams
from rlx_sampler._recorded import Recorded
from rlx_sampler._stack import ObservationStack
from rlx_sampler._step_types import StepType, label_steps
from rlx_sampler._tape import Tape
from rlx_sampler._trees import Array, ArrayTree, is_array, leaves, map_leaves, rows

NO_INFO: Final[Info] = {}


@dataclass(slots=True)
class _Running:
    """An episode that is under way, and what of it has not been handed over."""

    key: EpisodeKey
    begin: int
    episode_info: Info
    age: int = 0
    handed_over: int = 0
    earned: float = 0.0
    rewards: list[float] = field(default_factory=list[float])
    infos: list[Info] = field(default_factory=list[Info])


class LiveEpisode(NamedTuple):
    """What goes on from one call to the next, beside the environment itself."""

    observation: ArrayTree
    age: int
    episode_info: Info
    earned: float = 0.0
    """Rewards of the episode that were handed over already."""


class Lanes:
    """Runs one episode in each of several environments, with one call of the policy a step.

    Args:
        actor: The policy.
        environments: At least as many as the actor has lanes.
        max_episode_length: Steps after which an episode is cut off.
        tell_totals: Record return and length of each episode since it began, in `episode_infos`.
    """

    def __init__(
        self,
        actor: Actor,
        environments: Sequence[Any],
        max_episode_length: int,
        *,
        tell_totals: bool = False,
    ) -> None:
        self._actor = actor
        self._tell_totals = tell_totals
        self._environments = environments[: actor.n_lanes]
        self._max_episode_length = max_episode_length
        self._running: dict[int, _Running] = {}
        self._free = list(range(len(self._environments)))[::-1]
        self._stack: ObservationStack | None = None
        self._tape: Tape | None = None
        self._shape: Answer | None = None

    @property
    def has_room(self) -> bool:
        """Whether another episode can start."""
        return bool(self._free)

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        return not self._running

    def abandon(self) -> None:
        """Drop the episodes that are under way."""
        self._running.clear()
        self._free = list(range(len(self._environments)))[::-1]

    def start(self, key: EpisodeKey, streams: EpisodeStreams) -> None:
        """Begin the episode `key` in a free lane.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        lane = self._free[-1]
        self._actor.use(lane, streams.rng)
        self.start_in(lane, key, streams.env_seed)

    def start_in(self, lane: int, key: EpisodeKey, env_seed: int) -> None:
        """Begin an episode in `lane`, which must be free.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        try:
            observation, info = self._environments[lane].reset(seed=env_seed)
        except Exception as error:
            raise EpisodeError("the environment's reset", (key,), repr(error)) from error
        self._actor.forget(lane)
        self.go_on(lane, key, LiveEpisode(observation, 0, freeze_info(info)))

    def go_on(self, lane: int, key: EpisodeKey, live: LiveEpisode) -> None:
        """Take up an episode whose environment is in the middle of it."""
        if self._stack is None:
            self._stack = ObservationStack(self._actor.n_rows, live.observation)
        self._stack.place(lane, live.observation)
        begin = self._tape.now if self._tape is not None else 0
        self._free.remove(lane)
        self._running[lane] = _Running(
            key, begin, live.episode_info, age=live.age, handed_over=live.age, earned=live.earned
        )

    def is_running(self, lane: int) -> bool:
        """Whether an episode is under way in `lane`."""
        return lane in self._running

    def hand_to(self, lane: int, key: EpisodeKey, rng: np.random.Generator) -> None:
        """Let what happens in `lane` from now on belong to `key` and draw from `rng`."""
        self._actor.use(lane, rng)
        if lane in self._running:
            self._running[lane].key = key

    def live(self, lane: int) -> LiveEpisode | None:
        """Return what is needed to go on in `lane`; None if nothing is under way there."""
        running = self._running.get(lane)
        if running is None or self._stack is None:
            return None
        return LiveEpisode(self._stack.row(lane), running.age, running.episode_info, running.earned)

    def step(self) -> list[tuple[EpisodeKey, Recorded]]:
        """Advance every episode under way by one step and return those that ended.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        stack = self._present()
        answer = self._act(stack)
        self._record(stack, answer)
        actions = _for_lanes(answer.actions)
        ended = [
            (lane, end)
            for lane in list(self._running)
            if (end := self._step_lane(lane, stack, actions)) is not None
        ]
        return [self._finish(lane, end, stack) for lane, end in ended]

    def _present(self) -> ObservationStack:
        if self._stack is None:
            raise RuntimeError("no episode is under way: call start() first.")
        return self._stack

    def _act(self, stack: ObservationStack) -> Answer:
        try:
            return self._actor.act(stack.tree)
        except Exception as error:
            keys = tuple(running.key for running in self._running.values())
            raise EpisodeError("the policy", keys, repr(error)) from error

    def _record(self, stack: ObservationStack, answer: Answer) -> None:
        if self._shape is None:
            self._shape = answer
        arrays = [*stack.arrays(), *_in_order(self._shape, answer)]
        if self._tape is None:
            self._tape = Tape(len(self._environments), arrays)
        self._tape.write(arrays, min(running.begin for running in self._running.values()))

    def _step_lane(self, lane: int, stack: ObservationStack, actions: Any) -> StepType | None:
        running = self._running[lane]
        try:
            observation, reward, terminated, truncated, info = self._environments[lane].step(
                actions[lane] if isinstance(actions, list) else rows(actions, lane)
            )
        except Exception as error:
            where = f"the environment's step {running.age}"
            raise EpisodeError(where, (running.key,), repr(error)) from error
        stack.place(lane, observation)
        running.age += 1
        running.rewards.append(float(reward))
        running.infos.append(freeze_info(info) if info else NO_INFO)
        if terminated:
            return StepType.TERMINAL
        if truncated or running.age >= self._max_episode_length:
            return StepType.TIMEOUT
        return None

    def _finish(self, lane: int, end: StepType, stack: ObservationStack) -> tuple[EpisodeKey, Recorded]:
        recorded = self._record_of(lane, end, stack)
        self._free.append(lane)
        return self._running.pop(lane).key, recorded

    def cut(self, lane: int) -> Recorded:
        """Hand over what `lane` has done so far of an episode that goes on."""
        recorded = self._record_of(lane, StepType.MID, self._present())
        running = self._running[lane]
        running.begin += recorded.n_steps
        running.handed_over = running.age
        running.earned += sum(running.rewards)
        running.rewards, running.infos = [], []
        return recorded

    def _record_of(self, lane: int, end: StepType, stack: ObservationStack) -> Recorded:
        running = self._running[lane]
        if self._tape is None or self._shape is None:
            raise RuntimeError("an episode ended before its first step was recorded.")
        taken = iter(self._tape.take(lane, running.begin))
        observations, (actions, agent_infos) = _filled((stack.tree, tuple(self._shape)), taken)
        length = len(running.rewards)
        return Recorded(
            observations=observations,
            last_observations=stack.rows(lane),
            actions=actions,
            rewards=np.array(running.rewards, np.float64),
            step_types=label_steps(length, end, is_beginning=running.handed_over == 0),
            lengths=np.array([length]),
            complete=np.array([end is not StepType.MID]),
            env_infos=to_columns(running.infos),
            agent_infos=agent_infos,
            episode_infos=to_columns([self._episode_info(running)]),
        )

    def _episode_info(self, running: _Running) -> Info:
        if not self._tell_totals:
            return running.episode_info
        earned = running.earned + sum(running.rewards)
        return {**running.episode_info, "episode_return": earned, "episode_length": running.age}


def _in_order(template: Answer, answer: Answer) -> list[Array]:
    """Return the arrays of `answer` in the order in which `template` has them."""
    if answer.infos.keys() != template.infos.keys():
        raise ValueError(
            f"the policy's infos were {sorted(template.infos)} and are now {sorted(answer.infos)}; "
            f"a policy must give the same names every time."
        )

    def second(_: Array, leaf: Array) -> Array:
        return leaf

    matched = map_leaves(second, tuple(template), tuple(answer))
    return [leaf for _, leaf in leaves(matched)]


def _for_lanes(actions: ArrayTree) -> Any:
    """Return the actions of one array as a list of its rows, each as `action_space.sample()` gives it."""
    if is_array(actions):
        return list(actions)
    return actions


def _filled(template: ArrayTree, arrays: Iterator[Array]) -> ArrayTree:

    def fill(_: Array) -> Array:
        return next(arrays)

    return map_leaves(fill, template)
