"""Environments that live on between calls, in groups that the policy acts for together."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._exactness import can_save_environments, load_exactly, save_exactly
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._policies.memory import copy_with_parameters, forgets
from rlx_sampler._workers.environments import Environments
from rlx_sampler._workers.fragment_seeds import FragmentSeeds
from rlx_sampler._workers.lanes import Lanes, LiveEpisode
from rlx_sampler._workers.replays import Replay, ReplayedEnvironment, can_be_saved
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import all_kept, seed_all
from rlx_sampler._workers.worker import Lease


class LaneState(NamedTuple):
    """An environment, and its live episode."""

    environment: Any
    episode: LiveEpisode | None
    policy: Any = None
    """The policy of its group, with what it remembers; None where that is nothing, or another lane has it."""
    position: tuple[int, int] = (0, 1)
    """Its number within its group, and the size of that: what the policy remembers is of this order."""
    has_strays: bool = False
    """Whether policy or environments draw from generators that belong to no episode."""


class Group(NamedTuple):
    """Environments that the policy acts for together."""

    lanes: Lanes
    environments: Sequence[Any]
    policy: Any


class LaneGroups:
    """All environments of a worker, each in one of several groups of equal size.

    Args:
        groups: The groups.
        remembers: Whether the policies remember what they saw.
        steps_per_key: Steps of each environment for one key.
    """

    def __init__(self, groups: Sequence[Group], *, remembers: bool, steps_per_key: int) -> None:
        self._groups = groups
        self._remembers = remembers
        self._steps_per_key = steps_per_key
        self._size = len(groups[0].environments)

    @property
    def policies(self) -> list[Any]:
        """The policies, each once."""
        return list({id(group.policy): group.policy for group in self._groups}.values())

    def states(self) -> list[LaneState]:
        """Return every environment with its live episode."""
        return [
            LaneState(
                environment,
                group.lanes.live(lane),
                group.policy if self._remembers and not lane else None,
                (lane, len(group.environments)),
            )
            for group in self._groups
            for lane, environment in enumerate(group.environments)
        ]

    def go_on(self, states: Sequence[LaneState], key: EpisodeKey) -> None:
        """Take up the episodes of `states`, whose environments are those of the lanes."""
        for number, state in enumerate(states):
            if state.episode is not None:
                self._groups[number // self._size].lanes.go_on(number % self._size, key, state.episode)

    def is_beginning(self) -> bool:
        """Whether nothing is under way anywhere."""
        return all(group.lanes.is_idle for group in self._groups)

    def advance(self, keys: Sequence[EpisodeKey], lease: Lease) -> list[EpisodeChunk]:
        """Advance all environments, one key each.

        Raises:
            EpisodeError: If an environment or the policy raises.
        """
        parts = [keys[at : at + self._size] for at in range(0, len(keys), self._size)]
        pairs = zip(self._groups, parts, strict=True)
        return [chunk for group, part in pairs for chunk in self._advance(group.lanes, part, lease)]

    def advance_one_by_one(self, keys: Sequence[EpisodeKey], lease: Lease) -> list[EpisodeChunk]:
        """Advance the environments, which are groups of one, with all generators seeded for each.

        Raises:
            EpisodeError: If an environment or the policy raises.
        """
        advanced: list[EpisodeChunk] = []
        for group, key in zip(self._groups, keys, strict=True):
            spaces = Spaces(group.environments)
            with all_kept(spaces):
                seed_all(spaces, key.streams())
                advanced += self._advance(group.lanes, [key], lease)
        return advanced

    def _advance(self, lanes: Lanes, keys: Sequence[EpisodeKey], lease: Lease) -> list[EpisodeChunk]:
        seeds: list[FragmentSeeds] = []
        for lane, key in enumerate(keys):
            lanes.hand_to(lane, key)
            seeds.append(FragmentSeeds(key.streams().env_seed))
        for _ in range(self._steps_per_key):
            lease.is_over()  # a sign of life; a stretch of time is never given up
            for lane, key in enumerate(keys):
                if not lanes.is_running(lane):
                    lanes.start_in(lane, key, seeds[lane].next())
            lanes.step()
        for lane in range(len(keys)):
            if lanes.is_running(lane):
                lanes.cut(lane)
        return lanes.take_ended()


def savable(environments: Sequence[Any]) -> list[Any]:
    """Return environments in which nothing is under way, so that all can be saved: some with their actions."""
    if not can_save_environments() or can_be_saved(environments[0]):
        return list(environments)
    return [ReplayedEnvironment(environment) for environment in environments]


def without_policies(states: Sequence[LaneState]) -> list[LaneState]:
    """Return lanes that continue under another policy, which remembers nothing of them."""
    return [state._replace(policy=None) for state in states]


def saved(state: LaneState) -> bytes:
    """Return a lane as bytes."""
    environment = state.environment
    if isinstance(environment, ReplayedEnvironment):
        state = state._replace(environment=environment.replay())
    return save_exactly(tuple(state))


def loaded(states: Sequence[bytes], environments: Environments) -> tuple[list[LaneState], str]:
    """Return lanes that `saved` made bytes of, with `environments` as they were.

    Returns:
        The lanes, and where one parted that had to be run again; empty where none did.
    """
    lanes = [LaneState(*load_exactly(state)) for state in states]
    if not isinstance(lanes[0].environment, Replay):
        environments.replace([lane.environment for lane in lanes])
        return lanes, ""
    pairs = zip(environments.take(len(lanes)), lanes, strict=True)
    rerun = [_run_again(environment, lane) for environment, lane in pairs]
    return [lane for lane, _ in rerun], next((parted for _, parted in rerun if parted), "")


def _run_again(environment: Any, lane: LaneState) -> tuple[LaneState, str]:
    replayed = ReplayedEnvironment(environment)
    try:
        replayed.come_to(lane.environment)
    except Exception as error:  # noqa: BLE001 - environments are anybody's; a new episode is all that is left
        return lane._replace(environment=replayed, episode=None), str(error)
    return lane._replace(environment=replayed), ""


def policies_of_groups(
    policy: Any, states: Sequence[LaneState], n_lanes: int, size: int, *, remembers: bool
) -> list[Any]:
    """Return the policy of each group of `size` lanes: one of its own where it remembers what that group saw.

    Args:
        policy: The policy, with its present parameters.
        states: Lanes that continue; some may hold policies.
        n_lanes: Number of all lanes.
        size: Lanes that a policy acts for together.
        remembers: Whether policies remember what they saw.

    Raises:
        ValueError: If the saved policies remember other groups than these.
    """
    n_groups = -(-n_lanes // size)
    holding = [state for state in states if state.policy is not None]
    if holding and any(state.position != (number % size, size) for number, state in enumerate(states)):
        raise ValueError(
            f"the policy remembers what {states[0].position[1]} environments showed it together, which are in "
            f"other groups here: continue with the same n_envs and n_workers."
        )
    if not remembers or not forgets(policy):
        return [copy_with_parameters(holding[0].policy, policy) if holding else policy] * n_groups
    if holding:
        return [copy_with_parameters(state.policy, policy) for state in holding]
    return [policy, *(copy_with_parameters(policy, policy) for _ in range(n_groups - 1))]
