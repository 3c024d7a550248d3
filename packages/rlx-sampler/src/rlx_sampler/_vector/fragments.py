"""Stretches of time in the lanes of a vector environment, whose episodes continue in the next call."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._batches.infos import Columns, InfoColumn
from rlx_sampler._batches.recorded import EpisodeChunk, Recorded
from rlx_sampler._batches.step_types import StepType, label_segments
from rlx_sampler._batches.successes import UNKNOWN, success_of_lanes
from rlx_sampler._batches.trees import Array, ArrayTree, concatenate, map_leaves, rows
from rlx_sampler._keys import CallKey
from rlx_sampler._policies.acting import Actor
from rlx_sampler._vector.environments import VectorEnvironment
from rlx_sampler._vector.infos import Beginnings
from rlx_sampler._vector.lanes import LaneStep, VectorLanes
from rlx_sampler._workers.fragment_seeds import FragmentSeeds

TAKEN: Final = "taken"
"""Name in the buffer of which lanes took a step in an episode."""
KEPT: Final = ("_age", "_earned", "_success", "_number", "_n_begun", "_beginnings")
"""What continues, beside what the lanes know."""


class _Stop(NamedTuple):
    """What is known of episodes where they end, or where the stretch does; one row each."""

    age: Array
    earned: Array
    success: Array
    number: Array
    end: Array
    """Type of the last step; MID where the episode continues."""
    observations: ArrayTree
    """What followed that step."""


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
        self._ends: list[tuple[Array, _Stop]] = []
        """Places of the last steps of the episodes that have ended in this call."""

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
    ) -> list[EpisodeChunk]:
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
        lanes.buffer.make_room(n_steps + 1)
        lanes.hand_to(np.arange(lanes.n_lanes), numbers)
        seeds = _SeedsOfLanes(call, numbers)
        n_valid = 0
        while lanes.buffer.now < n_steps or n_valid < n_steps * lanes.n_lanes:
            give_sign()
            self._begin(seeds)
            n_valid += self._step()
        chunks = self._chunks(indices)
        self._ends.clear()
        self._beginnings = self._beginnings.kept(self._number)
        return chunks

    def _begin(self, seeds: "_SeedsOfLanes") -> None:
        """Begin an episode in every lane that is free for one."""
        lanes = self._lanes
        n_live = np.count_nonzero(lanes.live)
        if n_live == lanes.n_lanes:
            return
        if lanes.environment.has_seeded_lanes:
            (free,) = np.nonzero(~lanes.live)
            lanes.reset({lane: seeds.next(lane) for lane in free.tolist()})
        else:
            lanes.reset({})
            if not (n_live or lanes.begun.any() or lanes.resetting.any()):
                lanes.reset_all(seeds.next(0))
            (free,) = np.nonzero(lanes.begun & ~lanes.live)
        if not len(free):
            return
        self._number[free] = np.arange(self._n_begun, self._n_begun + len(free))
        self._n_begun += len(free)
        self._beginnings.note(self._number[free], free, lanes.beginning_infos)
        self._age[free], self._earned[free], self._success[free] = 0, 0.0, UNKNOWN
        lanes.take_up(free)

    def _step(self) -> int:
        """Advance all lanes by one step; return how many of them took it."""
        lanes = self._lanes
        place = lanes.buffer.now * lanes.n_lanes
        lanes.buffer.write(TAKEN, lanes.live)
        step = lanes.step(self._step_number)
        self._age += 1  # also in lanes where nothing is under way: a beginning sets all these
        self._earned += step.rewards
        if step.infos.step:
            self._success = success_of_lanes(step.infos.step, lanes.live, self._success)
        is_end = self._age >= self._max_episode_length
        is_end |= step.over
        is_end &= lanes.live
        n_taken = int(np.count_nonzero(lanes.live))
        if np.count_nonzero(is_end):
            (ended,) = np.nonzero(is_end)
            self._note_ends(ended, place, step)
        return n_taken

    def _step_number(self) -> int:
        return self._lanes.buffer.now

    def _note_ends(self, ended: Array, place: int, step: LaneStep) -> None:
        stop = _Stop(
            self._age[ended],
            self._earned[ended],
            self._success[ended],
            self._number[ended],
            step.ends(ended),
            self._lanes.last_observations(ended, step),
        )
        self._ends.append((place + ended, stop))
        self._lanes.live[ended] = False

    def _chunks(self, indices: Array | range) -> list[EpisodeChunk]:
        everything = np.arange(self._lanes.n_lanes)
        recorded, n_segments = self._recorded(everything)
        columns = {**recorded.env_infos, **recorded.episode_infos}
        if isinstance(indices, range) or all(column.present is None for column in columns.values()):
            numbers = indices if isinstance(indices, range) else indices.tolist()
            return [EpisodeChunk(numbers, n_segments.tolist(), recorded)]
        alone = [self._recorded(everything[lane : lane + 1]) for lane in everything.tolist()]
        return [
            EpisodeChunk([int(index)], [int(segments.sum())], part)
            for index, (part, segments) in zip(indices, alone, strict=True)
        ]

    def _recorded(self, lanes: Array) -> tuple[Recorded, Array]:
        """Take all steps of `lanes` off the buffer, lane by lane; return them, and the number of segments of each."""
        buffer, n_lanes = self._lanes.buffer, self._lanes.n_lanes
        ended = np.concatenate([places for places, _ in self._ends]) if self._ends else np.zeros(0, np.int64)
        taken = buffer.written(TAKEN)
        is_ended = np.zeros(taken.size, bool)
        is_ended[ended] = True
        is_taken = taken.T[lanes]
        places = (lanes[:, None] + np.arange(len(taken)) * n_lanes)[is_taken]
        is_last = is_ended.take(places)
        n_taken = np.count_nonzero(is_taken, axis=1)
        is_last[np.cumsum(n_taken)[n_taken > 0] - 1] = True
        (stops,) = np.nonzero(is_last)
        lengths = np.diff(stops, prepend=-1)
        stop = self._stops(places[stops], ended)
        recorded = Recorded(
            observations=buffer.take("observations", places),
            last_observations=stop.observations,
            actions=buffer.take("actions", places),
            rewards=buffer.take("rewards", places),
            step_types=label_segments(lengths, stop.end, stop.age == lengths),
            lengths=lengths,
            complete=stop.end != StepType.MID,
            env_infos=buffer.take_infos(places),
            agent_infos=buffer.take("agent infos", places),
            episode_infos=self._beginnings.columns(stop.number) | _totals(stop),
        )
        return recorded, np.bincount(places[stops] % n_lanes, minlength=n_lanes)[lanes]

    def _stops(self, places: Array, ended: Array) -> _Stop:
        """Return what is known after the steps at `places`, each the last of a segment."""
        lanes = self._lanes
        nothing_ends = np.full(lanes.n_lanes, StepType.MID, np.int8)
        present = _Stop(
            self._age, self._earned, self._success, self._number, nothing_ends, lanes.observations.tree
        )
        stop = rows(tuple(present), places % lanes.n_lanes)
        if not len(ended):
            return _Stop(*stop)
        found = np.searchsorted(ended, places)
        found[found == len(ended)] = 0
        is_here = ended[found] == places

        def replaced(leaf: Array, values: Array) -> Array:
            leaf[is_here] = values[found[is_here]]
            return leaf

        return _Stop(*map_leaves(replaced, stop, concatenate([tuple(each) for _, each in self._ends])))


def _totals(stop: _Stop) -> Columns:
    """Return what is known of episodes since they began."""
    totals: Columns = {
        ("episode_return",): InfoColumn(stop.earned, None),
        ("episode_length",): InfoColumn(stop.age, None),
    }
    is_known = stop.success != UNKNOWN
    if is_known.any():
        present = None if is_known.all() else is_known
        totals["episode_success",] = InfoColumn(stop.success[is_known].astype(bool), present)
    return totals


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
