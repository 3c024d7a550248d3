"""The workers that come with rlx: one environment, or several with one call of the policy."""

from collections.abc import Iterator
from typing import Any

from rlx_sampler._acting import build_actor
from rlx_sampler._copies import copy_of
from rlx_sampler._episodes import EpisodeBatch
from rlx_sampler._global_generators import seeded_globally
from rlx_sampler._inference import probe_block
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._lanes import Lanes
from rlx_sampler._offers import draws_globally, is_environment, is_policy, takes_argument
from rlx_sampler._recorded import Recorded, assemble
from rlx_sampler._worker import Lease, Worker


class VecWorker(Worker):
    """Runs several environments side by side, with one call of the policy for all.

    Each episode is the same as a :class:`DefaultWorker` gives. A policy that has no
    ``get_actions(observations, *, rngs)`` runs in one environment at a time.

    Args:
        seed: See :class:`Worker`.
        max_episode_length: See :class:`Worker`.
        worker_number: See :class:`Worker`.
        n_envs: Number of environments, at least 1.
        inference_rows: Rows of every call of the policy; None lets a probe find how many
            make a row's result independent of the others. All workers of a run need the
            same number.

    Raises:
        ValueError: If `n_envs` or `inference_rows` is below 1.
    """

    def __init__(
        self,
        *,
        seed: int | None,
        max_episode_length: int,
        worker_number: int,
        n_envs: int = 16,
        inference_rows: int | None = None,
    ) -> None:
        super().__init__(seed=seed, max_episode_length=max_episode_length, worker_number=worker_number)
        for name, value in (("n_envs", n_envs), ("inference_rows", inference_rows)):
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        self.inference_rows = inference_rows
        self.n_lanes = n_envs
        self._policy: Any = None
        self._environments: list[Any] = []
        self._lanes: Lanes | None = None
        self._ended: list[tuple[EpisodeKey, Recorded]] = []

    @property
    def environments(self) -> tuple[Any, ...]:
        """The environments that have been built so far."""
        return tuple(self._environments)

    def prepare(self, key: EpisodeKey) -> None:
        """Build the environments and find how many rows the policy needs."""
        self._ready_lanes(key)

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Call the policy with so many rows from now on; None changes nothing."""
        if inference_rows not in (None, self.inference_rows):
            self.inference_rows, self._lanes = inference_rows, None

    def update_agent(self, agent_update: Any) -> None:
        """Take a policy, or parameters for `set_param_values` of the present one.

        Raises:
            ValueError: If there are parameters but no policy yet.
        """
        if agent_update is None:
            return
        if is_policy(agent_update):
            self._policy, self._lanes = agent_update, None
        elif self._policy is None:
            raise ValueError(
                f"{type(agent_update).__name__} is no policy, and there is none yet to take it as parameters."
            )
        else:
            self._policy.set_param_values(agent_update)

    def update_env(self, env_update: Any) -> None:
        """Take an environment (from now on the worker's own), or a function of the old one.

        Raises:
            TypeError: If `env_update` is neither.
        """
        if env_update is None:
            return
        self._lanes = None
        if is_environment(env_update):
            self._close_environments()
            self._environments = [env_update]
        elif not callable(env_update):
            raise TypeError(f"{env_update!r} is neither an environment nor a function that gives one.")
        elif takes_argument(env_update):
            self._environments = [env_update(env) for env in self._environments or [None]]
        else:
            self._close_environments()
            self._environments = [env_update()]

    def _close_environments(self) -> None:
        while self._environments:
            self._environments.pop().close()

    def _ready_lanes(self, key: EpisodeKey) -> Lanes:
        if self._lanes is not None:
            return self._lanes
        if self._policy is None or not self._environments:
            raise RuntimeError(
                "the worker has no policy or no environment: call update_agent and update_env first."
            )
        actor = build_actor(self._policy, self.n_lanes, self._rows_needed(key))
        while len(self._environments) < actor.n_lanes:
            self._environments.append(copy_of(self._environments[0], "environment"))
        self._lanes = Lanes(actor, self._environments, self.max_episode_length)
        return self._lanes

    def _rows_needed(self, key: EpisodeKey) -> int:
        if self.inference_rows is None:
            observation, _ = self._environments[0].reset(seed=key.streams().env_seed)
            self.inference_rows = probe_block(self._policy, observation)
        return self.inference_rows

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
        self._ready_lanes(key).start(key, key.streams())

    def step_episode(self) -> bool:
        """Take one step in every environment; return whether an episode has ended."""
        if self._lanes is None:
            raise RuntimeError("no episode is under way: call start_episode() first.")
        self._ended.extend(self._lanes.step())
        return bool(self._ended)

    def collect_episode(self) -> EpisodeBatch:
        """Return the episodes that have ended, in the order of their keys."""
        if not self._ended:
            raise RuntimeError("no episode has ended: call step_episode() until it returns True.")
        return assemble([recorded for _, recorded in sorted(self._take_ended(), key=lambda pair: pair[0])])

    def rollout(self) -> EpisodeBatch:
        """Run one episode in every environment, from beginning to end."""
        while self.has_room:
            self.start_episode()
        while not self.is_idle:
            self.step_episode()
        return self.collect_episode()

    def run(self, lease: Lease) -> Iterator[tuple[EpisodeKey, Recorded]]:
        """Run the episodes that `lease` names; yield each as it ends, in any order."""
        if self._policy is not None and draws_globally(self._policy):
            yield from self._run_seeded(lease)
            return
        try:
            while self._fill(lease) and not lease.is_over():
                self.step_episode()
                yield from self._take_ended()
        finally:
            self._abandon()

    def _fill(self, lease: Lease) -> bool:
        """Start what there is room for; return whether an episode is under way."""
        while self.has_room and (key := lease.next_key()) is not None:
            self.begin(key)
            self.start_episode()
        return not self.is_idle

    def _run_seeded(self, lease: Lease) -> Iterator[tuple[EpisodeKey, Recorded]]:
        """Run one episode at a time with the global generators seeded for it."""
        while (key := lease.next_key()) is not None:
            try:
                with seeded_globally(key.streams().global_seed):
                    self.begin(key)
                    self.start_episode()
                    while not self.step_episode():
                        if lease.is_over():
                            return
                ended = self._take_ended()
            finally:
                self._abandon()
            yield from ended

    def _take_ended(self) -> list[tuple[EpisodeKey, Recorded]]:
        ended, self._ended = self._ended, []
        return ended

    def _abandon(self) -> None:
        self._ended = []
        if self._lanes is not None:
            self._lanes.abandon()

    def shutdown(self) -> None:
        """Close the environments. Calling it twice is allowed."""
        self._lanes = None
        self._close_environments()


class DefaultWorker(VecWorker):
    """Runs one episode at a time in one environment.

    Args:
        seed: See :class:`Worker`.
        max_episode_length: See :class:`Worker`.
        worker_number: See :class:`Worker`.
        inference_rows: See :class:`VecWorker`.
    """

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
