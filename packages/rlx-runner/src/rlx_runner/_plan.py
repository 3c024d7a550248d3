"""How a run samples: decided once, from what the algorithm offers and the user asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from rlx_protocols import Sampler, WorkerFactory
from rlx_runner._checks import check_arguments, check_offers
from rlx_runner._offers import has_policy, max_episode_length_of


@dataclass(frozen=True, kw_only=True)
class SamplingPlan:
    """A sampler class and what it is built with."""

    sampler_cls: type[Sampler[Any]]
    factory: WorkerFactory
    sampler_args: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def build(self, agents: Any, envs: Any) -> Sampler[Any]:
        """Build the sampler."""
        sampler: Sampler[Any] = self.sampler_cls.from_worker_factory(
            self.factory, agents=agents, envs=envs, **self.sampler_args
        )
        return sampler


def plan_sampling(
    algo: Any,
    sampler_cls: Any,
    *,
    seed: int | None,
    n_workers: int | None = None,
    max_episode_length: int | None = None,
    worker_class: Any = None,
    sampler_args: Mapping[str, Any] | None = None,
    worker_args: Mapping[str, Any] | None = None,
) -> SamplingPlan:
    """Decide how to sample for `algo`.

    Args:
        algo: Where the policy and, by default, the episode length come from.
        sampler_cls: Class with ``from_worker_factory``.
        seed: Root of the sampler's random streams.
        n_workers: Defaults to the number of physical cores.
        max_episode_length: Defaults to the algorithm's.
        worker_class: Defaults to the sampler's own.
        sampler_args: Further arguments for the sampler.
        worker_args: Further arguments for each worker.

    Raises:
        ValueError: If something is missing; names everything that is.
        TypeError: If an argument is of another kind.
    """
    check_offers("sampler_cls", sampler_cls, ("from_worker_factory",), "a sampler class")
    check_arguments("sampler_args", sampler_args)
    check_arguments("worker_args", worker_args)
    length = max_episode_length_of(algo) if max_episode_length is None else max_episode_length
    missing: list[str] = []
    if not has_policy(algo):
        missing.append("a policy: give the algorithm a `policy` attribute")
    if length is None:
        missing.append(
            "max_episode_length: pass it to make_sampler, or give the algorithm a `max_episode_length` attribute"
        )
    if missing:
        raise ValueError(f"{type(algo).__name__} cannot be sampled for; it lacks {'; and '.join(missing)}.")
    return SamplingPlan(
        sampler_cls=sampler_cls,
        factory=WorkerFactory(
            max_episode_length=length or 0,
            seed=seed,
            n_workers=physical_cores() if n_workers is None else n_workers,
            worker_class=worker_class,
            worker_args=dict(worker_args or {}),
        ),
        sampler_args=dict(sampler_args or {}),
    )


def physical_cores() -> int:
    """Return the number of physical cores, at least 1 (some systems do not tell)."""
    return max(1, psutil.cpu_count(logical=False) or 1)
