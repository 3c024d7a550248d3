"""The workers of a sampler: what each was given, and whether all of them got it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from rlx_protocols import WorkerFactory
from rlx_sampler._copies import copy_of
from rlx_sampler._engine import Engine, Updates
from rlx_sampler._errors import ClosedSamplerError
from rlx_sampler._exactness import Exactness, can_save_environments
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._offers import is_environment
from rlx_sampler._per_worker import is_per_worker, spread
from rlx_sampler._selfcheck.evidence import EPISODES, Evidence
from rlx_sampler._selfcheck.findings import Findings
from rlx_sampler._selfcheck.judgement import Judgement
from rlx_sampler._selfcheck.subject import Subject
from rlx_sampler._workers.setups import first_setups, packed_envs, updated_each

_APART: Final = (
    "a call was interrupted or raised: environments that live on between calls stood at different steps after "
    "it, or began again"
)


class SamplerWorkers(ABC):
    """Owns what runs the workers, and keeps their policies and environments in step.

    Args:
        factory: How many workers of which class, their seed and longest episode.
        agents: A policy for all workers, or a list of one a worker.
        envs: An environment, or a function that builds one, or a list of one a worker.
    """

    def __init__(self, factory: WorkerFactory, agents: Any, envs: Any) -> None:
        self._factory = factory
        self._pinned = is_per_worker("agents", agents) or is_per_worker("envs", envs)
        self._setups = first_setups(agents, envs, self.n_workers)
        self._other_envs: bytes | None = None
        self._is_broadcasting = False
        """Whether an update is on its way; still so after one that was interrupted."""
        self._is_apart = False
        """Whether environments that live on stood at different steps, or began again, after an interruption."""
        self._evidence = Evidence()
        self._engine: Engine | None = self._start_engine()

    @abstractmethod
    def _next_keys(self, count: int) -> list[EpisodeKey]:
        """Return the first keys of the next call."""

    @abstractmethod
    def _start_engine(self) -> Engine:
        """Build what runs the workers, from the factory and the setups as they are now."""

    @property
    def n_workers(self) -> int:
        """Number of workers."""
        return self._factory.n_workers

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise ClosedSamplerError("this sampler was shut down; build a new one to sample again.")
        return self._engine

    def _build_again(self) -> None:
        """Build the workers again if a broadcast was interrupted, after which they may hold different policies."""
        engine = self._open_engine()
        if self._is_broadcasting:
            profile = engine.profile
            self._note_interruption()
            engine.shutdown()
            self._engine = self._start_engine()
            self._engine.use_inference_rows(profile.inference_rows)
            self._is_broadcasting = False

    def _note_interruption(self) -> None:
        """Remember that a call ended early, where environments live on beyond it."""
        self._is_apart = self._is_apart or self._open_engine().profile.steps_per_key is not None

    def _update(self, agent_update: Any, env_update: Any) -> None:
        agent_updates = spread("agent_update", agent_update, self.n_workers)
        env_updates = spread("env_update", env_update, self.n_workers)
        self._update_each(agent_updates, env_updates)
        is_each = is_per_worker("agent_update", agent_update) or is_per_worker("env_update", env_update)
        self._pinned = self._pinned or is_each
        if env_update is not None:
            self._other_envs = packed_envs(self._setups if self._pinned else self._setups[:1])

    def _update_each(self, agent_updates: Sequence[Any], env_updates: Sequence[Any]) -> None:
        setups = updated_each(self._setups, agent_updates, env_updates)
        engine = self._open_engine()
        self._is_broadcasting = True
        try:
            engine.broadcast(Updates(agent_updates, env_updates, setups))
        except Exception:
            self._is_broadcasting = engine.is_in_process  # others refuse an update before they send it
            raise
        is_other = any(
            type(setup.agent) is not type(old.agent) for setup, old in zip(setups, self._setups, strict=True)
        )
        if is_other or any(each is not None for each in env_updates):
            self._evidence.note_change()
        self._setups, self._is_broadcasting = setups, False

    def shutdown_worker(self) -> None:
        """Release workers and environments. Calling it twice is allowed."""
        self._evidence.close()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown()

    def exactness(self, *, other_process: bool = False) -> Exactness:
        """Return how exactly a run with this sampler continues from `state_dict`, and why.

        Samplers with worker processes compare them with a fresh process in any case; it is waited for here.

        Args:
            other_process: Run what was checked in a fresh process with another PYTHONHASHSEED too, which
                takes as long as it takes to start Python and import what the environment needs.
        """
        engine = self._open_engine()
        if self._other_envs == b"":
            return Exactness("C", ("the env_update of the environments cannot be pickled",))
        if self._is_apart:
            return Exactness(
                "C",
                (_APART,),
            )
        self._check(engine)
        findings = self._evidence.wait()
        if other_process:
            self._evidence.compare_elsewhere()
            findings = self._evidence.findings
        engine.renew_profile()
        return Judgement(engine.profile, findings, engine.is_in_process, engine.has_lost).exactness()

    def _subject(self, engine: Engine) -> Subject:
        profile, setup = engine.profile, self._setups[0]
        if (
            engine.environment is not None
            and not profile.has_vector
            and not is_environment(setup.environment)
        ):
            with suppress(TypeError):  # where it cannot be copied, its function is called once more
                setup = replace(setup, environment=copy_of(engine.environment, "environment"), env_updates=())
        return Subject(
            self._factory, setup, profile.inference_rows, self._next_keys(EPISODES), profile.has_vector
        )

    def _check(self, engine: Engine) -> None:
        """Gather evidence where something is new."""
        if not self._evidence.is_worth_it():
            return
        profile = engine.profile
        if profile.obstacle_to_rerun:
            self._evidence.gather(Findings(not_checked=profile.obstacle_to_rerun))
        elif profile.obstacle_to_check:
            self._evidence.gather(Findings(not_checked=profile.obstacle_to_check))
        elif engine.is_in_process:
            self._evidence.gather_here(self._subject(engine))
            engine.use_inference_rows(self._evidence.findings.inference_rows)
        else:
            self._evidence.gather_elsewhere(self._subject(engine))

    def _live_states(self, engine: Engine) -> list[list[bytes]]:
        findings = self._evidence.findings
        is_live = engine.profile.steps_per_key is not None
        has_history = self._evidence.has_history or bool(engine.profile.histories)
        is_wanted = is_live or (has_history and engine.is_in_process and not findings.not_saved)
        return engine.live_states() if is_wanted and can_save_environments() else []
