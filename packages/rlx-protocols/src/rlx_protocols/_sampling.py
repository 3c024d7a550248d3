"""Collecting experience: what a runner asks of a sampler, and what it gives it."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, SupportsIndex, TypeVar, cast

BatchT_co = TypeVar("BatchT_co", bound="EpisodeBatchLike", covariant=True)


class EpisodeBatchLike(Protocol):
    """A batch of episodes, flat over time: N steps of E episodes, one after another."""

    @property
    def n_steps(self) -> int:
        """Number of environment steps, N."""
        ...

    @property
    def lengths(self) -> Iterable[int]:
        """Steps of each episode, (E,); they add up to N."""
        ...

    @property
    def rewards(self) -> Iterable[float]:
        """Reward of each step, (N,), in the environment's units."""
        ...

    @property
    def env_infos(self) -> Mapping[str, Any]:
        """What the environment said beside the rewards: arrays of first dimension N by name."""
        ...

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dict an episode, as algorithms that work on lists of episodes expect."""
        ...


@dataclass(frozen=True, kw_only=True)
class WorkerFactory:
    """Everything a sampler needs to build its workers, as one plain value.

    Args:
        max_episode_length: Steps after which an episode is cut off (a time-out).
        seed: Root of every random stream of the sampler; None draws one from the system.
        n_workers: Number of workers, at least 1.
        worker_class: Class of the workers; None leaves the choice to the sampler.
        worker_args: Further keyword arguments for the worker class.

    Raises:
        ValueError: If `max_episode_length` or `n_workers` is below 1, or `seed` below 0.
        TypeError: If an argument is of another kind.
    """

    max_episode_length: int
    seed: int | None = None
    n_workers: int = 1
    worker_class: Callable[..., Any] | None = None
    worker_args: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for name, value in (("max_episode_length", self.max_episode_length), ("n_workers", self.n_workers)):
            if _whole_number(name, value) < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1.")
        if self.seed is not None and _whole_number("seed", self.seed) < 0:
            raise ValueError(f"seed is {self.seed}; it must not be negative.")
        if self.worker_class is not None and not callable(self.worker_class):
            raise TypeError(f"worker_class is {self.worker_class!r}; it must be a class of workers, or None.")
        if not isinstance(cast("object", self.worker_args), Mapping):
            raise TypeError(f"worker_args is {self.worker_args!r}; it must be a dict of keyword arguments.")

    def with_default_worker(self, worker_class: Callable[..., Any]) -> "WorkerFactory":
        """Return this factory with `worker_class` where none was chosen."""
        return replace(self, worker_class=worker_class) if self.worker_class is None else self

    def __call__(self, worker_number: int) -> Any:
        """Build worker `worker_number`, counted from 0.

        Raises:
            TypeError: If `worker_number` is no whole number.
            ValueError: If there is no such worker, or no worker class was chosen.
        """
        if not 0 <= _whole_number("worker_number", worker_number) < self.n_workers:
            raise ValueError(
                f"worker {worker_number} does not exist: n_workers is {self.n_workers}, counted from 0."
            )
        if self.worker_class is None:
            raise ValueError(
                "worker_class is None, which leaves the choice to the sampler: "
                "pass worker_class=... to build workers from the factory itself."
            )
        return self.worker_class(
            seed=self.seed,
            max_episode_length=self.max_episode_length,
            worker_number=worker_number,
            **self.worker_args,
        )


def _whole_number(name: str, value: object) -> int:
    try:
        return operator.index(cast("SupportsIndex", value))
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a whole number.") from None


class Sampler(Protocol[BatchT_co]):
    """Collects experience. The runner calls it; it never calls the runner.

    The runner owns when to sample and how much; the sampler owns workers and
    environments. `agents`, `envs`, `agent_update` and `env_update` are one object
    for all workers or a list of exactly `n_workers`; None as an update means "keep".
    A sampler that is also `Stateful` resumes exactly. Implementations are
    checked by `rlx_protocols.testing.check_sampler`.
    """

    @classmethod
    def from_worker_factory(cls, factory: WorkerFactory, agents: Any, envs: Any) -> Self:
        """Build a sampler whose workers come from `factory`."""
        ...

    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> BatchT_co:
        """Collect whole episodes of at least `num_samples` steps, with the updates applied first.

        `itr` is only recorded: it does not choose the random streams.
        """
        ...

    def shutdown_worker(self) -> None:
        """Release workers and environments. Calling it twice is allowed."""
        ...
