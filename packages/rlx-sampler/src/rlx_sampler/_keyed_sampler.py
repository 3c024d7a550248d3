"""The layer that all samplers share: keys, calls, and what a batch is made of."""

from collections.abc import Mapping
from typing import Any, Final, Self

from rlx_protocols import WorkerFactory
from rlx_sampler._batches.episodes import EpisodeBatch
from rlx_sampler._batches.recorded import assemble
from rlx_sampler._checks import whole_number, worker_factory
from rlx_sampler._copies import packed, unpacked
from rlx_sampler._engine import OneEpisode, build_worker, dealt
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._global_generators import one_torch_thread
from rlx_sampler._keys import TRAINING, CallKey, EpisodeKey, draw_root
from rlx_sampler._ledger import Ledger
from rlx_sampler._sampler_workers import SamplerWorkers
from rlx_sampler._selfcheck.evidence import Evidence
from rlx_sampler._selfcheck.reference import ReferenceEpisode
from rlx_sampler._workers.lane_worker import DefaultWorker
from rlx_sampler._workers.setups import unpacked_envs
from rlx_sampler._workers.worker import Worker

STATE_VERSION: Final = 2
"""2: noise by tables; the batches that follow on a state of version 1 would be others."""


class KeyedSampler(SamplerWorkers):
    """Collects episodes that depend on their keys and the policy alone.

    A batch is a function of the seed, the policy's parameters, the number of the
    sampling call and the size asked for: not of the number of workers, their timing,
    or the engine that runs them. Subclasses are such engines.

    Args:
        factory: How many workers of which class, their seed and longest episode.
        agents: A policy for all workers, or a list of one a worker.
        envs: An environment, or a function that builds one, or a list of one a worker.
        stream: Which family of random streams to use; samplers with other streams share
            no episode. See `TRAINING` and `EVALUATION`.

    Raises:
        ValueError: If a list has another length than the number of workers.
        TypeError: If an argument is of another kind, or a policy or environment cannot be copied.
    """

    default_worker: type[Worker] = DefaultWorker

    def __init__(self, factory: WorkerFactory, agents: Any, envs: Any, *, stream: int = TRAINING) -> None:
        factory = worker_factory(factory).with_default_worker(self.default_worker)
        self._root = draw_root() if factory.seed is None else factory.seed
        self._stream = whole_number("stream", stream, at_least=0)
        self._call = 0
        self._total_env_steps = 0
        self._mean_length = 0.0
        super().__init__(factory, agents, envs)

    @classmethod
    def from_worker_factory(cls, factory: WorkerFactory, agents: Any, envs: Any, **sampler_args: Any) -> Self:
        """Build a sampler whose workers come from `factory`; see the class for the arguments."""
        return cls(factory, agents, envs, **sampler_args)

    @property
    def total_env_steps(self) -> int:
        """Environment steps in all batches so far; steps that were thrown away do not count."""
        return self._total_env_steps

    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> EpisodeBatch:
        """Collect whole episodes of at least `num_samples` steps.

        Args:
            itr: Iteration the batch is for. It does not choose the random streams.
            num_samples: Environment steps wanted, at least 1.
            agent_update: A policy or a list of one a worker, or parameters for the present one,
                where only a `PerWorker` is one a worker; None keeps what there is.
            env_update: An environment, or a function of the old one (`EnvUpdate`),
                or a list of one a worker; None keeps what there is.

        Returns:
            The episodes 0, 1, 2, … of this call, as few as hold `num_samples` steps.

        Raises:
            ValueError: If `num_samples` is below 1 or a list has the wrong length.
            EpisodeError: If an environment or a policy raises; the call can be repeated.
            ClosedSamplerError: If the sampler was shut down.
        """
        del itr
        num_samples = whole_number("num_samples", num_samples, at_least=1)
        fragments = self._fragments_for(num_samples)
        return self._obtain(None if fragments else num_samples, fragments, agent_update, env_update)

    def _fragments_for(self, num_samples: int) -> int | None:
        """Return how many fragments hold `num_samples` steps, the same number in every environment."""
        profile = self._open_engine().profile
        if profile.steps_per_key is None:
            return None
        n_environments = self.n_workers * profile.n_lanes
        return n_environments * -(-num_samples // (n_environments * profile.steps_per_key))

    def obtain_exact_episodes(
        self, n_eps_per_worker: int, agent_update: Any, env_update: Any = None
    ) -> EpisodeBatch:
        """Collect exactly `n_eps_per_worker` times the number of workers episodes.

        Where a list gives each worker its own policy or environment, those of worker 0 come
        first, then those of worker 1, ...: episode i of worker w has the number
        i * n_workers + w in its key.

        Raises:
            ValueError: If `n_eps_per_worker` is below 1, a list has the wrong length, or the
                workers collect fragments.
            EpisodeError: If an environment or a policy raises; the call can be repeated.
            ClosedSamplerError: If the sampler was shut down.
        """
        n_eps_per_worker = whole_number("n_eps_per_worker", n_eps_per_worker, at_least=1)
        if self._open_engine().profile.steps_per_key is not None:
            raise ValueError("these workers collect fragments, not whole episodes: use obtain_samples.")
        n_episodes = n_eps_per_worker * self.n_workers
        return self._obtain(None, n_episodes, agent_update, env_update, by_worker=True)

    def _obtain(
        self,
        n_steps: int | None,
        n_episodes: int | None,
        agent_update: Any,
        env_update: Any,
        *,
        by_worker: bool = False,
    ) -> EpisodeBatch:
        self._build_again()
        engine = self._open_engine()
        self._update(agent_update, env_update)
        self._check(engine)
        ledger = Ledger(
            n_steps=n_steps,
            n_episodes=n_episodes,
            n_workers=self.n_workers if self._pinned or engine.profile.steps_per_key else None,
            n_sharing=self.n_workers,
            mean_length=self._mean_length,
            are_abreast=engine.profile.steps_per_key is not None,
        )
        try:
            engine.collect(self._call_key(self._call), ledger)
        except BaseException:
            self._note_interruption()
            raise
        kept = ledger.kept()
        self._evidence.compare(kept[:: self.n_workers if self._pinned else 1])
        if by_worker and self._pinned:
            kept = [part for worker in range(self.n_workers) for part in kept[worker :: self.n_workers]]
        batch = assemble(kept)
        self._call += 1
        self._total_env_steps += batch.n_steps
        self._mean_length = batch.n_steps / batch.n_episodes
        return batch

    def replay(self, call: int, episode: int) -> EpisodeBatch:
        """Run one episode again in this process, with the present policy.

        Use it to look into an `EpisodeError`, which names both numbers.

        Raises:
            EpisodeError: If the episode raises again.
            ValueError: If what the workers run cannot be run again alone, as fragments cannot.
        """
        key = self._call_key(whole_number("call", call, at_least=0)).episode(
            whole_number("episode", episode, at_least=0)
        )
        profile = WorkerProfile() if self._engine is None else self._engine.profile
        if profile.obstacle_to_replay:
            raise ValueError(profile.obstacle_to_replay)
        number = key.episode % self.n_workers if self._pinned else 0
        worker = build_worker(self._factory, self._setups[number], number)
        worker.use_inference_rows(profile.inference_rows)
        try:
            with one_torch_thread():
                (chunk,) = worker.run(OneEpisode([key]))
        finally:
            worker.shutdown()
        return assemble(chunk.parts())

    def _next_keys(self, count: int) -> list[EpisodeKey]:
        apart = self.n_workers if self._pinned else 1
        return [self._call_key(self._call).episode(index * apart) for index in range(count)]

    def _call_key(self, call: int) -> CallKey:
        return CallKey(self._root, self._stream, call)

    def state_dict(self) -> dict[str, Any]:
        """Return what a sampler built in the same way needs to continue from here.

        Raises:
            ClosedSamplerError: If the sampler was shut down.
        """
        engine = self._open_engine()
        reference = self._evidence.reference
        return {
            "version": STATE_VERSION,
            "root": self._root,
            "stream": self._stream,
            "call": self._call,
            "total_env_steps": self._total_env_steps,
            "mean_length": self._mean_length,
            "inference_rows": engine.profile.inference_rows,
            "envs": self._other_envs or None,
            "pinned": self._pinned,
            "live": self._live_states(engine),
            "reference": None if reference is None else reference.as_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`: the next call is the one that would have come next.

        Raises:
            ValueError: If `state` is of another version or incomplete, or holds live environments
                that these workers cannot take over; nothing but environments that were updated is
                changed then.
        """
        _check_state(state)
        engine = self._open_engine()
        if state.get("envs") is not None:
            for env_updates in unpacked_envs(state["envs"], self.n_workers):
                self._update_each([None] * self.n_workers, env_updates)
            self._other_envs = state["envs"]
        live: list[list[bytes]] = state.get("live") or []
        engine.load_live_states(dealt(live, self.n_workers, engine))
        self._root, self._stream = int(state["root"]), int(state["stream"])
        self._call, self._total_env_steps = int(state["call"]), int(state["total_env_steps"])
        self._mean_length = float(state.get("mean_length", 0.0))
        self._pinned = bool(state.get("pinned", self._pinned))
        engine.use_inference_rows(state.get("inference_rows"))
        reference: Mapping[str, Any] | None = state.get("reference")
        self._evidence.note_restore(
            None if reference is None else ReferenceEpisode.from_state(reference), has_history=bool(live)
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the running workers, which are built again."""
        fields = {name: value for name, value in vars(self).items() if name not in ("_engine", "_evidence")}
        state = None if self._engine is None else self.state_dict()
        return {"fields": packed(fields, "sampler"), "state": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the workers again, unless the sampler was shut down."""
        vars(self).update(unpacked(state["fields"]))
        self._engine, self._evidence = None, Evidence()
        if state["state"] is not None:
            self._engine = self._start_engine()
            self.load_state_dict(state["state"])


def _check_state(state: Mapping[str, Any]) -> None:
    version = state.get("version")
    if version == 1:
        raise ValueError(
            "the state of the sampler is of version 1, whose policies drew other noise: this release cannot "
            "continue it exactly; resume with the release that wrote it, or begin a new run."
        )
    missing = sorted({"root", "stream", "call", "total_env_steps"} - state.keys())
    if version != STATE_VERSION or missing:
        raise ValueError(
            f"this is no state of a sampler of version {STATE_VERSION}: version is {version!r}, "
            f"missing are {missing}."
        )
