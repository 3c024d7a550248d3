"""The workers that come with rlx: one environment, or several with one call of the policy."""

from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import Any, ClassVar

from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.recorded import EpisodeChunk, assemble
from rlx_sampler._batches.trees import ArrayTree
from rlx_sampler._checks import whole_number
from rlx_sampler._exactness import WorkerProfile, load_exactly, save_exactly
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._offers import draws_globally, is_policy, no_policy
from rlx_sampler._policies.acting import Actor, build_actor
from rlx_sampler._policies.inference import BlockMerging, probe_block
from rlx_sampler._policies.memory import MemoryProbe
from rlx_sampler._vector.episodes import VectorEpisodes
from rlx_sampler._workers.environments import Environments
from rlx_sampler._workers.lanes import Lanes
from rlx_sampler._workers.running import run_one_by_one, run_together
from rlx_sampler._workers.spaces import Spaces
from rlx_sampler._workers.stray_draws import RepeatableLease, StrayDrawError
from rlx_sampler._workers.worker import Lease, Worker, built_alike


class VecWorker(Worker):
    """Runs several environments side by side, with one call of the policy for all.

    Each episode is the same as a `DefaultWorker` gives. A policy that has no
    ``get_actions(observations, *, rngs)`` runs in one environment at a time.

    The environment may also be a vector environment of gymnasium, or a function of the seed
    that builds one of envpool (``lambda seed: envpool.make(..., seed=seed)``), which steps all
    its lanes at once; `n_envs` is then the number of its lanes, whatever is passed here.

    Args:
        seed: See `Worker`.
        max_episode_length: See `Worker`.
        worker_number: See `Worker`.
        n_envs: Number of environments, at least 1. Many cost less CPU a step; few are ready sooner
            where one takes long to build.
        inference_rows: Rows of every call of the policy; None lets a probe find how many
            make a row's result independent of the others. All workers of a run need the
            same number.

    Raises:
        ValueError: If `n_envs` or `inference_rows` is below 1.
    """

    _takes_vectors: ClassVar[bool] = True

    def __init__(
        self,
        *,
        seed: int | None,
        max_episode_length: int,
        worker_number: int,
        n_envs: int = 32,
        inference_rows: int | None = None,
    ) -> None:
        super().__init__(seed=seed, max_episode_length=max_episode_length, worker_number=worker_number)
        for name, value in (("n_envs", n_envs), ("inference_rows", inference_rows)):
            if value is not None:
                whole_number(name, value, at_least=1)
        self.inference_rows = inference_rows
        self.n_envs = n_envs
        self.n_lanes = n_envs
        """Episodes side by side: one an environment, or the lanes of a vector environment."""
        self.may_merge = BlockMerging()
        self.has_memory = MemoryProbe()
        self._policy: Any = None
        self.environments = Environments()
        self._lanes: Lanes | VectorEpisodes | None = None
        self.spaces = Spaces([])
        """Of the environments of all lanes."""
        self.has_strays = False
        """Whether policy or environments have drawn from generators that belong to no episode."""

    @property
    def policy(self) -> Any:
        """The policy.

        Raises:
            RuntimeError: If there is none yet.
        """
        if self._policy is None:
            raise RuntimeError("the worker has no policy: call update_agent first.")
        return self._policy

    def profile(self) -> WorkerProfile:
        """Return what the sampler has to know."""
        return WorkerProfile(
            self.n_lanes,
            self.inference_rows,
            None,
            self.environments.histories(),
            self.environments.unseeded(),
            has_vector=self.environments.vector() is not None,
            obstacle_to_check=self.environments.obstacle_to_check(),
        )

    def live_state(self) -> list[bytes]:
        """Return the environments and the policy, for what they remember beyond an episode."""
        return [save_exactly((self.environments.all(), self._policy, self.has_strays))]

    def load_live_state(self, states: list[bytes]) -> None:
        """Continue with what `live_state` returned."""
        for state in states:
            environments, self._policy, self.has_strays = load_exactly(state)
            self.forget_lanes()
            self.environments.replace(environments)

    def forget_lanes(self) -> None:
        """Drop the episodes under way: policy or environments are others now."""
        self._lanes = None

    def _rebuild_lanes(self) -> None:
        """Build the lanes again before the next step: the policy is asked in another way now."""
        self.forget_lanes()

    def prepare(self, key: EpisodeKey) -> None:
        """Build the environments and find how many rows the policy needs."""
        self.ready_lanes(key)

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Call the policy with so many rows from now on; None changes nothing."""
        if inference_rows not in (None, self.inference_rows):
            self.inference_rows = inference_rows
            self._rebuild_lanes()

    def update_agent(self, agent_update: Any) -> None:
        """Take a policy, or parameters for `set_param_values` of the present one.

        Raises:
            TypeError: If there are parameters but no policy yet.
        """
        if agent_update is None:
            return
        if is_policy(agent_update):
            self._policy = agent_update
            self._rebuild_lanes()
        elif self._policy is None:
            raise no_policy(agent_update)
        else:
            self._policy.set_param_values(agent_update)

    def update_env(self, env_update: Any) -> None:
        """Take an environment (from now on the worker's own), a function of the old one, or a list of `n_envs`.

        Raises:
            TypeError: If `env_update` is none of them.
            ValueError: If a list has another length.
        """
        if env_update is None:
            return
        self.forget_lanes()
        self.n_lanes = self.environments.update_lanes(
            env_update, self.n_envs, may_be_vector=self._takes_vectors
        )

    def ready_lanes(self, key: EpisodeKey) -> Lanes | VectorEpisodes:
        """Return the lanes, which are built where there are none; `key` names an episode to try things with."""
        if self._lanes is None:
            with built_alike(self):
                rows = self.rows_needed(key)
                observe = partial(self.observation, key)
                n_lanes = self.has_memory.most_lanes(self.policy, self.n_lanes, observe, rows)
                self._lanes = self._lanes_for(build_actor(self.policy, n_lanes, rows, self.may_merge))
                self.spaces = Spaces(self.environments.all())
        return self._lanes

    def _lanes_for(self, actor: Actor) -> Lanes | VectorEpisodes:
        vector = self.environments.vector()
        if vector is None:
            return Lanes(actor, self.environments.take(actor.n_lanes), self.max_episode_length)
        return VectorEpisodes(actor, vector, self.max_episode_length)

    def observation(self, key: EpisodeKey) -> ArrayTree:
        """Return an observation to try the policy with, in no episode that is under way."""
        return self.environments.first_observation(key.streams().env_seed)

    @property
    def is_one_by_one(self) -> bool:
        """Whether episodes run one at a time, with the generators that belong to none seeded for each."""
        return self.has_strays or draws_globally(self.policy)

    def rows_needed(self, key: EpisodeKey) -> int:
        """Return the rows of every call of the policy; `key` names an episode to try it with."""
        if self.inference_rows is None:
            self.inference_rows = probe_block(self.policy, self.observation(key))
        return self.inference_rows

    @property
    def n_ended(self) -> int:
        """Number of episodes that have ended since they were last taken."""
        return 0 if self._lanes is None else self._lanes.n_ended

    @property
    def has_room(self) -> bool:
        """Whether another episode can start beside those under way."""
        return self._lanes is None or self._lanes.has_room

    @property
    def is_idle(self) -> bool:
        """Whether no episode is under way."""
        return self._lanes is None or self._lanes.is_idle

    def start_episode(self) -> None:
        """Begin one episode in a free environment."""
        key = self.next_key()
        self.ready_lanes(key).start(key, key.streams())

    def step_episode(self) -> bool:
        """Take one step in every environment; return whether an episode has ended."""
        if self._lanes is None:
            raise RuntimeError("no episode is under way: call start_episode() first.")
        self._lanes.step()
        return self._lanes.n_ended > 0

    def collect_episode(self) -> EpisodeBatch:
        """Return the episodes that have ended, in the order of their keys."""
        ended = self.take_ended()
        if not ended:
            raise RuntimeError("no episode has ended: call step_episode() until it returns True.")
        numbered = [pair for each in ended for pair in zip(each.indices, each.parts(), strict=True)]
        return assemble([part for _, part in sorted(numbered, key=itemgetter(0))])

    def take_ended(self) -> list[EpisodeChunk]:
        """Return the episodes that have ended since the last call."""
        return [] if self._lanes is None else self._lanes.take_ended()

    def rollout(self) -> EpisodeBatch:
        """Run one episode in every environment, or one where the policy acts for one at a time."""
        while self.has_room:
            self.start_episode()
        while not self.is_idle:
            self.step_episode()
        return self.collect_episode()

    def run(self, lease: Lease) -> Iterator[EpisodeChunk]:
        """Run the episodes that `lease` names; yield them as they end, in any order.

        They are handed over many at a time, but every few steps once there are lanes without an
        episode: whoever gives them out may be waiting to know how long these were.
        """
        repeatable = RepeatableLease(lease)
        if not self.is_one_by_one:
            try:
                yield from run_together(self, lease, repeatable)
                return
            except StrayDrawError:
                self.has_strays = True
                repeatable.take_back()
        yield from run_one_by_one(self, repeatable)

    def abandon(self) -> None:
        """Drop the episodes that are under way, and those that have ended."""
        if self._lanes is not None:
            self._lanes.abandon()

    def shutdown(self) -> None:
        """Close the environments. Calling it twice is allowed."""
        self.forget_lanes()
        self.environments.close()


class DefaultWorker(VecWorker):
    """Runs one episode at a time in one environment.

    Args:
        seed: See `Worker`.
        max_episode_length: See `Worker`.
        worker_number: See `Worker`.
        inference_rows: See `VecWorker`.
    """

    _takes_vectors = False

    def __init__(
        self,
        *,
        seed: int | None,
        max_episode_length: int,
        worker_number: int,
        inference_rows: int | None = None,
    ) -> None:
        super().__init__(
            seed=seed,
            max_episode_length=max_episode_length,
            worker_number=worker_number,
            n_envs=1,
            inference_rows=inference_rows,
        )
