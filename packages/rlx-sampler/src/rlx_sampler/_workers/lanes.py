"""Episodes side by side: the one loop that steps environments and records what happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Self

from rlx_sampler._batches.infos import Info, freeze_info
from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._batches.step_types import StepType
from rlx_sampler._batches.successes import any_success
from rlx_sampler._batches.tensors import is_tensor
from rlx_sampler._batches.trees import Array, ArrayTree, flat, is_array, rows
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import EpisodeKey, EpisodeStreams
from rlx_sampler._policies.acting import Actor, Answer
from rlx_sampler._workers.recording import Recording
from rlx_sampler._workers.segments import Segment
from rlx_sampler._workers.stack import ObservationStack

NO_INFO: Final[Info] = {}


class LiveEpisode(NamedTuple):
    """What lasts from one call to the next, beside the environment itself."""

    observation: ArrayTree
    age: int
    episode_info: Info
    earned: float = 0.0
    """Rewards of the episode that were handed over already."""
    succeeded: bool | None = None
    """Whether what was handed over said success; None where it said nothing."""


@dataclass(slots=True)
class Running:
    """An episode that is under way, and what of it has not been handed over."""

    key: EpisodeKey
    begin: int
    """Its first step in the step buffer that was not handed over."""
    stop: int
    """The step of the step buffer before which it is cut off."""
    episode_info: Info
    is_beginning: bool
    """Whether nothing was handed over."""
    earned: float
    """Rewards that were handed over."""
    infos: dict[int, Info] = field(default_factory=dict[int, Info])
    """Infos that are not empty, by the step of the step buffer."""
    succeeded: bool | None = None
    """Whether what was handed over said success; None where it said nothing."""

    @classmethod
    def of(cls, key: EpisodeKey, begin: int, stop: int, live: LiveEpisode) -> Self:
        """Return what continues from `live`, in the step `begin` of the rollout buffer."""
        return cls(key, begin, stop, live.episode_info, live.age == 0, live.earned, succeeded=live.succeeded)

    def live(self, observation: ArrayTree, age: int) -> LiveEpisode:
        """Return what is needed to continue from `observation`."""
        return LiveEpisode(observation, age, self.episode_info, self.earned, self.succeeded)

    def hand_over(self, earned: float, now: int) -> None:
        """Remember the totals of the steps before `now`, and nothing else of them."""
        self.earned += earned
        self.succeeded = any_success(self.infos.values(), self.succeeded)
        self.begin, self.is_beginning = now, False
        self.infos.clear()

    def totals(self, earned: float, age: int) -> Info:
        """Return the episode's info with its return, length and, where an info said so, success."""
        succeeded = any_success(self.infos.values(), self.succeeded)
        success = {} if succeeded is None else {"episode_success": succeeded}
        return {**self.episode_info, "episode_return": earned, "episode_length": age, **success}


class Lanes:
    """Runs one episode in each of several environments, with one call of the policy a step.

    Args:
        actor: The policy.
        environments: At least as many as the actor has lanes.
        max_episode_length: Steps after which an episode is cut off.
        tell_totals: Record return, length and success of each episode since it began, in `episode_infos`.
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
        self._running: dict[int, Running] = {}
        self._free = list(range(len(self._environments)))[::-1]
        self._stack: ObservationStack | None = None
        self._recording = Recording(len(self._environments))
        self._ended: list[Segment] = []
        self.seed: Callable[[EpisodeStreams], object] | None = None
        """Seeds, where one episode runs at a time, the generators that belong to none."""

    @property
    def has_room(self) -> bool:
        """Whether another episode can start."""
        return bool(self._free)

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        return not self._running

    @property
    def n_ended(self) -> int:
        """Number of episodes that ended, or were cut, since they were last taken."""
        return len(self._ended)

    def abandon(self) -> None:
        """Drop the episodes that are under way, and those that have ended."""
        for lane in self._running:
            self._actor.rest(lane)
        self._running.clear()
        self._ended.clear()
        self._free = list(range(len(self._environments)))[::-1]

    def _begin_again(self, keys: Sequence[EpisodeKey]) -> None:
        """Run the first episodes of all again, in the dtype in which the policy sees all later ones."""
        self.abandon()
        self._recording = Recording(len(self._environments))
        for key in keys:
            streams = key.streams()
            if self.seed is not None:
                self.seed(streams)
            self.start(key, streams)

    def start(self, key: EpisodeKey, streams: EpisodeStreams) -> None:
        """Begin the episode `key` in a free lane.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        lane = self._free[-1]
        self._actor.use(lane, key)
        self.start_in(lane, key, streams.env_seed)

    def start_in(self, lane: int, key: EpisodeKey, env_seed: int) -> None:
        """Begin an episode in `lane`, which must be free.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        where = "the environment's reset"
        try:
            observation, info = self._environments[lane].reset(seed=env_seed)
            live = LiveEpisode(observation, 0, freeze_info(info or NO_INFO))
            where = "the policy's reset"
            self._actor.forget(lane)
            where = "the environment's first observation"
            self.go_on(lane, key, live)
        except Exception as error:
            raise EpisodeError(where, (key,), repr(error)) from error

    def go_on(self, lane: int, key: EpisodeKey, live: LiveEpisode) -> None:
        """Take up an episode whose environment is in the middle of it."""
        if self._stack is None:
            self._stack = ObservationStack(self._actor.n_rows, live.observation)
        self._stack.place(lane, live.observation)
        begin = self._recording.now
        stop = begin + self._max_episode_length - live.age
        self._free.remove(lane)
        self._running[lane] = Running.of(key, begin, stop, live)

    def _age(self, running: Running) -> int:
        return self._max_episode_length - (running.stop - self._recording.now)

    def is_running(self, lane: int) -> bool:
        """Whether an episode is under way in `lane`."""
        return lane in self._running

    def hand_to(self, lane: int, key: EpisodeKey) -> None:
        """Let what happens in `lane` from now on belong to `key` and draw its noise."""
        self._actor.use(lane, key)
        if lane in self._running:
            self._running[lane].key = key

    def live(self, lane: int) -> LiveEpisode | None:
        """Return what is needed to continue in `lane`; None if nothing is under way there."""
        running = self._running.get(lane)
        if running is None or self._stack is None:
            return None
        age = self._age(running)
        return running.live(self._stack.row(lane), age)

    def step(self) -> None:
        """Advance every episode under way by one step and note those that end.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        dtypes = None if self._recording.now else self._present().dtypes()
        answer, rewards = self._act(max(self._running) + 1)
        actions = _for_lanes(answer.actions)
        place, after = self._present().place, self._recording.now
        under_way = list(self._running.items())
        for lane, running in under_way:
            try:
                observation, reward, terminated, truncated, info = self._environments[lane].step(
                    actions[lane]
                )
                place(lane, observation)
                rewards[lane] = reward if type(reward) is float else _number(reward)
                if info:
                    running.infos[after - 1] = freeze_info(info)
            except Exception as error:
                where = f"the environment's step {self._age(running) - 1}"
                raise EpisodeError(where, (running.key,), repr(error)) from error
            if terminated or truncated or after >= running.stop:
                self.end(lane, StepType.TERMINAL if terminated else StepType.TIMEOUT)
        if dtypes not in (None, self._present().dtypes()) and not self._tell_totals:
            self._begin_again([running.key for _, running in under_way])

    def _present(self) -> ObservationStack:
        if self._stack is None:
            raise RuntimeError("no episode is under way: call start() first.")
        return self._stack

    def _act(self, n_lanes: int) -> tuple[Answer, Array]:
        """Ask the policy and note what it says; return that, and where the rewards of the step go."""
        try:
            answer = self._actor.act(self._present().tree, n_lanes)
            return answer, self._recording.write(self._present(), answer, self._oldest)
        except Exception as error:
            keys = tuple(running.key for running in self._running.values())
            raise EpisodeError("the policy", keys, repr(error)) from error

    def _oldest(self) -> int:
        begins = [running.begin for running in self._running.values()]
        return min([*begins, *(segment.begin for segment in self._ended)])

    def end(self, lane: int, how: StepType) -> None:
        """Note that the episode in `lane` has ended."""
        self._ended.append(self._segment(lane, how))
        del self._running[lane]
        self._free.append(lane)
        if not self._tell_totals:  # where it does, the next episode of the key begins at once
            self._actor.rest(lane)

    def cut(self, lane: int) -> None:
        """Note what `lane` has done so far of an episode that continues."""
        self._ended.append(self._segment(lane, StepType.MID))
        running = self._running[lane]
        running.hand_over(self._recording.earned(lane, running.begin), self._recording.now)

    def take_ended(self) -> list[EpisodeChunk]:
        """Take what has ended, or was cut, off the step buffer."""
        ended, self._ended = self._ended, []
        under_way = sum(self._recording.now - running.begin for running in self._running.values())
        return [replace(each, under_way=under_way) for each in self._recording.take_ended(ended)]

    def _segment(self, lane: int, end: StepType) -> Segment:
        running = self._running[lane]
        steps = range(running.begin, self._recording.now)
        infos = [running.infos.get(step, NO_INFO) for step in steps] if running.infos else []
        return Segment(
            running.key.episode,
            lane,
            running.begin,
            len(steps),
            end,
            running.is_beginning,
            self._present().row(lane),
            infos,
            self._episode_info(lane, running),
        )

    def _episode_info(self, lane: int, running: Running) -> Info:
        if not self._tell_totals:
            return running.episode_info
        earned = running.earned + self._recording.earned(lane, running.begin)
        return running.totals(earned, self._age(running))


def _number(reward: Any) -> Any:
    """Return a reward, which may be an array or tensor of one number."""
    return reward.item() if is_array(reward) or is_tensor(reward) else reward


def _for_lanes(actions: ArrayTree) -> Any:
    """Return what gives the action of a lane by its number, each as `action_space.sample()` would."""
    if is_array(actions):
        return list(actions)
    return [rows(actions, lane) for lane in range(len(flat(actions)[0]))]
