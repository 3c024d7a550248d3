"""Checks of a sampler: enough steps, the same batch for the same key, orderly ends."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from rlx_protocols._sampling import EpisodeBatchLike, Sampler, WorkerFactory
from rlx_protocols._stateful import Stateful
from rlx_protocols.testing._fakes import CountingEnv, SteadyPolicy
from rlx_protocols.testing._requirement import require, require_error

MAX_EPISODE_LENGTH = 7
NUM_SAMPLES = 23


class _StatefulSampler(Sampler[Any], Stateful, Protocol):
    pass


def check_sampler(
    sampler_cls: type[Sampler[Any]],
    *,
    make_env: Callable[[], Any] = CountingEnv,
    make_policy: Callable[[], Any] = SteadyPolicy,
) -> None:
    """Check that `sampler_cls` keeps the contract of `Sampler`.

    Args:
        sampler_cls: Class under check.
        make_env: Environment to sample; episodes are cut at 7 steps.
        make_policy: Policy to sample with.

    Raises:
        ConformanceError: If it does not; names the rule and what was seen.
    """

    def build(n_workers: int, seed: int = 1) -> Sampler[Any]:
        factory = WorkerFactory(max_episode_length=MAX_EPISODE_LENGTH, seed=seed, n_workers=n_workers)
        return sampler_cls.from_worker_factory(factory, make_policy(), make_env())

    _check_batch(build)
    _check_reproducible(build)
    _check_lists(build, make_policy)
    _check_shutdown(build)


def check_sampler_state(
    sampler_cls: type[_StatefulSampler],
    *,
    make_env: Callable[[], Any] = CountingEnv,
    make_policy: Callable[[], Any] = SteadyPolicy,
) -> None:
    """Check that a sampler with a state continues exactly from it, also after an update of its environment.

    Raises:
        ConformanceError: If the batch after a restored state differs from the unbroken run's.
    """

    def build(n_workers: int) -> _StatefulSampler:
        factory = WorkerFactory(max_episode_length=MAX_EPISODE_LENGTH, seed=1, n_workers=n_workers)
        return sampler_cls.from_worker_factory(factory, make_policy(), make_env())

    other_env = CountingEnv(length=2) if make_env is CountingEnv else make_env()
    for env_update, moment in ((None, "after load_state_dict"), (other_env, "also after an env_update,")):
        unbroken = build(1)
        unbroken.obtain_samples(0, NUM_SAMPLES, None, env_update)
        state = unbroken.state_dict()
        wanted = unbroken.obtain_samples(1, NUM_SAMPLES, None)
        unbroken.shutdown_worker()
        resumed = build(1)
        resumed.load_state_dict(state)
        batch = resumed.obtain_samples(1, NUM_SAMPLES, None)
        resumed.shutdown_worker()
        _require_equal(batch, wanted, f"{moment} the next batch must be the unbroken run's")


def _check_batch(build: Callable[[int], Sampler[Any]]) -> None:
    sampler = build(1)
    batch: EpisodeBatchLike = sampler.obtain_samples(0, NUM_SAMPLES, None)
    sampler.shutdown_worker()
    lengths = np.asarray(batch.lengths)
    require(
        batch.n_steps >= NUM_SAMPLES,
        f"a batch must hold at least the {NUM_SAMPLES} steps asked for",
        batch.n_steps,
    )
    require(int(lengths.sum()) == batch.n_steps, "lengths must add up to n_steps", (lengths, batch.n_steps))
    require(bool((lengths >= 1).all()), "every episode must have a step", lengths)
    require(
        bool((lengths <= MAX_EPISODE_LENGTH).all()),
        f"no episode may exceed {MAX_EPISODE_LENGTH} steps",
        lengths,
    )
    rewards = np.asarray(batch.rewards)
    require(rewards.shape == (batch.n_steps,), "rewards must have shape (n_steps,)", rewards.shape)
    require(
        len(batch.to_list()) == len(lengths), "to_list must give one dict an episode", len(batch.to_list())
    )


def _check_reproducible(build: Callable[[int], Sampler[Any]]) -> None:
    first, second = build(1), build(1)
    for itr in range(2):
        wanted = first.obtain_samples(itr, NUM_SAMPLES, None)
        _require_equal(
            second.obtain_samples(itr, NUM_SAMPLES, None),
            wanted,
            "equal seeds and calls must give equal batches",
        )
    first.shutdown_worker()
    second.shutdown_worker()


def _check_lists(build: Callable[[int], Sampler[Any]], make_policy: Callable[[], Any]) -> None:
    sampler = build(2)
    require_error(
        ValueError,
        "a list of 3 agent updates for 2 workers must be a ValueError",
        lambda: sampler.obtain_samples(0, NUM_SAMPLES, [make_policy() for _ in range(3)]),
    )
    sampler.shutdown_worker()


def _check_shutdown(build: Callable[[int], Sampler[Any]]) -> None:
    sampler = build(1)
    sampler.shutdown_worker()
    sampler.shutdown_worker()


def _require_equal(batch: EpisodeBatchLike, wanted: EpisodeBatchLike, rule: str) -> None:
    same = np.array_equal(np.asarray(batch.lengths), np.asarray(wanted.lengths))
    require(same, rule, (batch.lengths, wanted.lengths))
    for row, wanted_row in zip(batch.to_list(), wanted.to_list(), strict=True):
        for name, value in wanted_row.items():
            require(_same(row[name], value), f"{rule} ({name})", (row[name], value))


def _same(left: Any, right: Any) -> bool:
    if isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[k], right[k]) for k in right)  # pyright: ignore[reportUnknownVariableType]
    return bool(np.array_equal(np.asarray(left), np.asarray(right)))
