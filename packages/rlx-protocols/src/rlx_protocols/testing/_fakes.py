"""Small working parts to test other parts with: no mocks, no dependencies but NumPy."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from rlx_protocols._sampling import Sampler, WorkerFactory


class CountingEnv:
    """An environment that counts: the observation is (seed noise, steps so far), the reward the step number.

    Speaks gymnasium's API without needing it. Episodes end by themselves after
    `length` steps.

    Args:
        length: Steps of an episode.
    """

    def __init__(self, length: int = 5) -> None:
        self.length = length
        self._noise = 0.0
        self._steps = 0

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Begin an episode; equal seeds give equal observations."""
        del options
        self._noise = float(np.random.default_rng(seed).normal())
        self._steps = 0
        return self._observation(), {}

    def step(self, action: object) -> tuple[NDArray[np.float64], float, bool, bool, dict[str, Any]]:
        """Count one step."""
        del action
        self._steps += 1
        return self._observation(), float(self._steps), self._steps >= self.length, False, {}

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _observation(self) -> NDArray[np.float64]:
        return np.array([self._noise, self._steps], dtype=np.float64)


class SteadyPolicy:
    """A policy whose action is its one parameter plus keyed noise of standard deviation 1."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def get_action(self, observation: object, /, *, rng: np.random.Generator) -> tuple[float, dict[str, Any]]:
        """Return one action, drawing one normal number from `rng`."""
        del observation
        return self.value + float(rng.normal()), {}

    def get_actions(
        self, observations: object, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.float64], dict[str, Any]]:
        """Return one action a generator."""
        return np.array([self.get_action(observations, rng=rng)[0] for rng in rngs]), {}

    def reset(self, do_resets: object = None) -> None:
        """Do nothing: the policy has no memory."""

    def get_param_values(self) -> dict[str, NDArray[np.float64]]:
        """Return the one parameter."""
        return {"value": np.array(self.value)}

    def set_param_values(self, values: Mapping[str, NDArray[np.float64]], /) -> None:
        """Take over the one parameter."""
        self.value = float(values["value"])


@dataclass(frozen=True)
class CountedBatch:
    """A batch of equally long episodes, each step rewarded with 1 plus the policy's parameter."""

    n_episodes: int
    episode_length: int
    reward: float = 1.0

    @property
    def n_steps(self) -> int:
        """Number of environment steps."""
        return self.n_episodes * self.episode_length

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode."""
        return np.full(self.n_episodes, self.episode_length, dtype=np.int64)

    @property
    def rewards(self) -> NDArray[np.float64]:
        """Reward of each step."""
        return np.full(self.n_steps, self.reward)

    @property
    def env_infos(self) -> dict[str, Any]:
        """Nothing: counting has no infos."""
        return {}

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict an episode."""
        rewards = np.full(self.episode_length, self.reward)
        return [{"rewards": rewards} for _ in range(self.n_episodes)]


class CountingSampler:
    """A sampler that makes batches out of nothing and counts what was asked of it."""

    def __init__(self, episode_length: int, n_workers: int = 1) -> None:
        self.episode_length = episode_length
        self.n_workers = n_workers
        self.calls = 0
        self.shutdowns = 0
        self.updates: list[Any] = []

    @classmethod
    def from_worker_factory(cls, factory: WorkerFactory, agents: Any, envs: Any) -> Self:
        """Build one; agents and environments are not needed."""
        del agents, envs
        return cls(factory.max_episode_length, factory.n_workers)

    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> CountedBatch:
        """Return as many episodes as reach `num_samples` steps, rewarded with the number of the call."""
        del itr, env_update
        if _is_list(agent_update) and len(agent_update) != self.n_workers:
            raise ValueError(f"{len(agent_update)} agent updates for {self.n_workers} workers.")
        self.calls += 1
        self.updates.append(agent_update)
        return CountedBatch(-(-num_samples // self.episode_length), self.episode_length, float(self.calls))

    def shutdown_worker(self) -> None:
        """Count the call."""
        self.shutdowns += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the number of calls so far."""
        return {"calls": self.calls}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Continue counting from `state`."""
        self.calls = state["calls"]


class MemoryLogger:
    """A logger that keeps its rows in a list and can be cut back to a position."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, dict[str, Any]]] = []
        self.finalized = 0

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        """Keep one row."""
        scope, slash, name = step_type.partition("/")
        if not (scope and slash and name) or "/" in name:
            raise ValueError(f"step_type is {step_type!r}; it must have the form 'scope/name'.")
        self.rows.append((step_type, step, dict(data)))

    def state_dict(self) -> dict[str, Any]:
        """Return the number of rows."""
        return {"rows": len(self.rows)}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Drop the rows after `state`; an empty state drops all."""
        del self.rows[state.get("rows", 0) :]

    def finalize(self) -> None:
        """Count the call."""
        self.finalized += 1


class MemorySnapshotStore:
    """A store that keeps a deep copy of every state, by iteration."""

    def __init__(self) -> None:
        self.states: dict[int, Any] = {}

    def save_itr_params(self, itr: int, params: Any) -> None:
        """Keep a copy of `params`."""
        self.states[itr] = copy.deepcopy(params)

    def load(self, load_dir: str, itr: int | str = "last") -> Any:
        """Return a copy of the state of `itr`."""
        if isinstance(itr, str) and itr not in ("first", "last"):
            raise ValueError(f"itr is {itr!r}; it must be a number, 'first' or 'last'.")
        if not self.states:
            raise FileNotFoundError(f"no snapshot for {load_dir!r} is in memory.")
        number = {"first": min, "last": max}[itr](self.states) if isinstance(itr, str) else itr
        if number not in self.states:
            raise FileNotFoundError(
                f"no snapshot of iteration {itr!r} is in memory; there are {sorted(self.states)}."
            )
        return copy.deepcopy(self.states[number])


class ScriptedLoop:
    """A training loop of a fixed number of epochs over a sampler, without logs or snapshots on disk.

    Args:
        sampler: Where batches come from.
        n_epochs: Number of epochs.
        batch_size: Environment steps of a batch where the algorithm names none.
        stop_after: Ask to stop once this many epochs are done; None never asks.
        after_epoch: Called with the epoch that has just ended.
    """

    def __init__(
        self,
        sampler: Sampler[Any],
        *,
        n_epochs: int,
        batch_size: int,
        stop_after: int | None = None,
        after_epoch: Callable[[int], None] | None = None,
    ) -> None:
        self.step_itr = 0
        self.step_episode: Any = None
        self.rows: list[dict[str, Any]] = []
        self.epochs_done = 0
        self._sampler = sampler
        self._n_epochs = n_epochs
        self._batch_size = batch_size
        self._stop_after = stop_after
        self._after_epoch = after_epoch
        self._env_steps = 0
        self._row: dict[str, Any] = {}

    def step_epochs(self) -> Iterator[int]:
        """Yield each epoch until all are done or a stop is asked for."""
        while self.epochs_done < self._n_epochs and not self.stop_requested:
            self._row = {}
            yield self.epochs_done
            self.rows.append(self._row)
            if self._after_epoch is not None:
                self._after_epoch(self.epochs_done)
            self.epochs_done += 1

    def obtain_episodes(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> Any:
        """Ask the sampler."""
        size = self._batch_size if batch_size is None else batch_size
        batch = self._sampler.obtain_samples(itr, size, agent_update, env_update)
        self._env_steps += batch.n_steps
        return batch

    def obtain_samples(
        self, itr: int, batch_size: int | None = None, agent_update: Any = None, env_update: Any = None
    ) -> list[dict[str, Any]]:
        """Ask the sampler, for a list of episodes."""
        episodes: list[dict[str, Any]] = self.obtain_episodes(
            itr, batch_size, agent_update, env_update
        ).to_list()
        return episodes

    def log(self, metrics: Mapping[str, Any], /) -> None:
        """Add to the row of this epoch."""
        self._row.update(metrics)

    @property
    def total_env_steps(self) -> int:
        """Environment steps collected so far."""
        return self._env_steps

    @property
    def stop_requested(self) -> bool:
        """Whether `stop_after` epochs are done."""
        return self._stop_after is not None and self.epochs_done >= self._stop_after


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)
