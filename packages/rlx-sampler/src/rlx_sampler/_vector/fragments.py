"""Stretches of time in the lanes of a vector environment, whose episodes continue in the next call."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._batches.infos import Columns, InfoColumn
from rlx_sampler._batches.recorded import Harvest, Recorded
from rlx_sampler._batches.step_types import StepType, label_pieces
from rlx_sampler._batches.successes import UNKNOWN, success_of_lanes
from rlx_sampler._batches.trees import Array, ArrayTree, concatenate, map_leaves, rows
from rlx_sampler._keys import CallKey
from rlx_sampler._policies.acting import Actor
from rlx_sampler._vector.environments import VectorEnvironment
from rlx_sampler._vector.infos import Beginnings
from rlx_sampler._vector.lanes import LaneStep, VectorLanes
from rlx_sampler._workers.fragment_seeds import FragmentSeeds

KEPT: Final = ("_age", "_earned", "_success", "_number", "_n_begun", "_beginnings")
"""What continues, beside what the lanes know."""


class _Marks(NamedTuple):
    """What each lane has come to with a step, (n_lanes,); or with each of several, (steps, n_lanes)."""

    is_valid: Array
    """Whether it took the step in an episode."""
    age: Array
    end: Array
    """Type of the step where it was the last of its episode, else MID."""
    earned: Array
    success: Array
    number: Array


class VectorFragments:
    """Advances all lanes by a number of steps a call; a step in which a lane is only reset is not one of them.

    Args:
        actor: The policy, with as many lanes as the environment.
        environment: The vector environment.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(self, actor: Actor, environment: VectorEnvironment, max_episode_length: int) -> None:
        n_lanes = environment.n_lanes
        self._lanes = VectorLanes(actor, environment)
        self._max_episode_length = max_episode_length
        self._age = np.zeros(n_lanes, np.int64)
        self._earned = np.zeros(n_lanes)
        self._success = np.full(n_lanes, UNKNOWN, np.int8)
        self._number = np.zeros(n_lanes, np.int64)
        """Number of the episode in each lane, counted since the first one of all."""
        self._n_begun = 0
        self._beginnings = Beginnings()
        self._nothing_ends = np.full(n_lanes, StepType.MID, np.int8)
        self._marks: list[_Marks] = []
        """One for each step of the call."""
        self._ends: list[tuple[Array, ArrayTree]] = []
        """Places of the last steps of episodes, with what followed them."""

    def state(self) -> dict[str, Any]:
        """Return what continues, as arrays, beside the environment itself."""
        return {name: getattr(self, name) for name in KEPT} | {"lanes": self._lanes.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        for name in KEPT:
            setattr(self, name, state[name])
        self._lanes.load_state(state["lanes"])

    def advance(
        self, call: CallKey, indices: Array | range, n_steps: int, give_sign: Callable[[], object]
    ) -> list[Harvest]:
        """Advance every lane, until there are `n_steps` steps for each of them.

        Args:
            call: The call that the keys are of.
            indices: Numbers of the keys of the lanes, in ascending order.
            n_steps: Steps a lane, at least, on average.
            give_sign: Called at every step, as a sign of life.

        Raises:
            EpisodeError: If the environment or the policy raises.
        """
        lanes, numbers = self._lanes, np.asarray(indices)
        lanes.call = call
        lanes.buffer.clear()
        self._marks.clear()
        self._ends.clear()
        lanes.hand_to(np.arange(lanes.n_lanes), numbers)
        seeds = _SeedsOfLanes(call, numbers)
        n_valid = 0
        while lanes.buffer.now < n_steps or n_valid < n_steps * lanes.n_lanes:
            give_sign()
            self._begin(seeds)
            n_valid += self._step()
        harvests = self._harvests(indices)
        self._beginnings = self._beginnings.kept(self._number)
        return harvests

    def _begin(self, seeds: "_SeedsOfLanes") -> None:
        """Begin an episode in every lane that is free for one."""
        lanes = self._lanes
        if lanes.environment.has_seeded_lanes:
            free = np.flatnonzero(~lanes.live)
            lanes.reset({lane: seeds.next(lane) for lane in free.tolist()})
        else:
            lanes.reset({})
            if not (lanes.begun.any() or lanes.live.any() or lanes.resetting.any()):
                lanes.reset_all(seeds.next(0))
            free = np.flatnonzero(lanes.begun & ~lanes.live)
        if not len(free):
            return
        self._number, self._age = self._number.copy(), self._age.copy()  # marks hold the present ones
        self._earned, self._success = self._earned.copy(), self._success.copy()
        self._number[free] = np.arange(self._n_begun, self._n_begun + len(free))
        self._n_begun += len(free)
        self._beginnings.note(self._number[free], free, lanes.beginning_infos)
        self._age[free], self._earned[free], self._success[free] = 0, 0.0, UNKNOWN
        lanes.take_up(free)

    def _step(self) -> int:
        """Advance all lanes by one step; return how many of them took it."""
        lanes = self._lanes
        place = lanes.buffer.now * lanes.n_lanes
        step = lanes.step(lambda: lanes.buffer.now)
        is_valid = lanes.live.copy()
        self._age = self._age + is_valid
        self._earned = self._earned + step.rewards * is_valid
        if step.infos.step:
            self._success = success_of_lanes(step.infos.step, is_valid, self._success)
        is_end = is_valid & (step.over | (self._age >= self._max_episode_length))
        end = self._nothing_ends
        if is_end.any():
            how = np.where(step.terminated, StepType.TERMINAL, StepType.TIMEOUT)
            end = np.where(is_end, how, StepType.MID)
            self._note_ends(np.flatnonzero(is_end), place, step)
        self._marks.append(_Marks(is_valid, self._age, end, self._earned, self._success, self._number))
        return int(is_valid.sum())

    def _note_ends(self, ended: Array, place: int, step: LaneStep) -> None:
        self._ends.append((place + ended, self._lanes.last_observations(ended, step)))
        self._lanes.live[ended] = False

    def _harvests(self, indices: Array | range) -> list[Harvest]:
        everything = np.arange(self._lanes.n_lanes)
        recorded, n_pieces = self._recorded(everything)
        columns = {**recorded.env_infos, **recorded.episode_infos}
        if isinstance(indices, range) or all(column.present is None for column in columns.values()):
            numbers = indices if isinstance(indices, range) else indices.tolist()
            return [Harvest(numbers, n_pieces.tolist(), recorded)]
        alone = [self._recorded(everything[lane : lane + 1]) for lane in everything.tolist()]
        return [
            Harvest([int(index)], [int(pieces.sum())], part)
            for index, (part, pieces) in zip(indices, alone, strict=True)
        ]

    def _recorded(self, lanes: Array) -> tuple[Recorded, Array]:
        """Take all steps of `lanes` off the buffer, lane by lane; return them, and the number of pieces of each."""
        buffer, n_lanes = self._lanes.buffer, self._lanes.n_lanes
        marks = _Marks(*map(np.stack, zip(*self._marks, strict=True)))
        which, step = np.nonzero(marks.is_valid.T[lanes])
        places = step * n_lanes + lanes[which]
        ends = marks.end.reshape(-1).take(places)
        is_last = ends != StepType.MID
        is_last[:-1] |= which[1:] != which[:-1]
        is_last[-1:] = True
        stops = np.flatnonzero(is_last)
        lengths = np.diff(stops, prepend=-1)
        is_first = marks.age.reshape(-1).take(places[stops - lengths + 1]) == 1
        recorded = Recorded(
            observations=buffer.take("observations", places),
            last_observations=self._last_observations(places[stops]),
            actions=buffer.take("actions", places),
            rewards=buffer.take("rewards", places),
            step_types=label_pieces(lengths, ends[stops], is_first),
            lengths=lengths,
            complete=ends[stops] != StepType.MID,
            env_infos=buffer.take_infos(places),
            agent_infos=buffer.take("agent infos", places),
            episode_infos=self._totals(marks, places[stops]),
        )
        return recorded, np.bincount(which[stops], minlength=len(lanes))

    def _last_observations(self, places: Array) -> ArrayTree:
        """Return what followed the steps at `places`, each the last of a piece."""
        last = rows(self._lanes.observations.tree, places % self._lanes.n_lanes)
        if not self._ends:
            return last
        ended = np.concatenate([places for places, _ in self._ends])
        followed = concatenate([observations for _, observations in self._ends])
        found = np.searchsorted(ended, places)
        found[found == len(ended)] = 0
        is_here = ended[found] == places

        def replaced(leaf: Array, values: Array) -> Array:
            leaf[is_here] = values[found[is_here]]
            return leaf

        return map_leaves(replaced, last, followed)

    def _totals(self, marks: _Marks, places: Array) -> Columns:
        """Return what is known of the episodes of the steps at `places`, since they began."""
        age, earned, success, numbers = (
            np.asarray(each.reshape(-1).take(places))
            for each in (marks.age, marks.earned, marks.success, marks.number)
        )
        totals: Columns = {
            ("episode_return",): InfoColumn(earned, None),
            ("episode_length",): InfoColumn(age, None),
        }
        is_known = success != UNKNOWN
        if is_known.any():
            present = None if is_known.all() else is_known
            totals["episode_success",] = InfoColumn(success[is_known].astype(bool), present)
        return self._beginnings.columns(numbers) | totals


class _SeedsOfLanes:
    """The seeds of the keys of one call, each made where a lane asks for it."""

    def __init__(self, call: CallKey, numbers: Array) -> None:
        self._call = call
        self._numbers = numbers
        self._seeds: dict[int, FragmentSeeds] = {}

    def next(self, lane: int) -> int:
        """Return the next seed for `lane`."""
        if lane not in self._seeds:
            (seed,) = self._call.env_seeds(self._numbers[lane : lane + 1])
            self._seeds[lane] = FragmentSeeds(seed)
        return self._seeds[lane].next()
