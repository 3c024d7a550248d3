"""Environments that keep to no convention: what is taken all the same, and what is an error with a key."""

from collections.abc import Sequence
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampler_worlds import Gaussian, Walk, make_local

from rlx_sampler import (
    DefaultWorker,
    EpisodeError,
    MultiprocessingSampler,
    VecWorker,
    WorkerFactory,
    sample_gaussian,
)

DTYPES = ["?", "i1", "i8", "f2", "f4", "f8"]


class Dressed(Walk):
    """A walk that shows itself in one form at resets and in another at steps."""

    def __init__(self, at_reset: Any, at_step: Any, longest: int = 15) -> None:
        super().__init__(longest)
        self.at_reset = at_reset
        self.at_step = at_step

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return self.at_reset(observation), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return self.at_step(observation), reward, terminated, truncated, info


class Typed(Gaussian):
    """A policy whose actions depend on the dtype of what it sees."""

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Any, dict[str, Any]]:
        gain = 0.1 * observations.dtype.itemsize
        mean = gain * observations.astype(float).reshape(len(rngs), -1)[:, :1] * np.ones(3)
        return sample_gaussian(mean, 0.5, rngs), {"mean": mean}


class SingleTyped:
    """The same for one action at a time."""

    def get_action(self, observation: Any, *, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        return observation.dtype.itemsize * rng.standard_normal(3), {}


class GlobalTyped:
    """The same with noise from global generators."""

    def get_action(self, observation: Any) -> tuple[Any, dict[str, Any]]:
        return observation.dtype.itemsize * np.random.standard_normal(3), {}


class Boxed(Walk):
    """A walk that gives every number as an array, and no info where there is nothing to say."""

    def reset(self, *, seed: int | None = None) -> tuple[Any, Any]:
        return super().reset(seed=seed)[0], None

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, Any]:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, np.array([reward]), np.bool_(terminated), np.array([truncated]), None


def digests(sampler: Any) -> list[str]:
    """Return the digests of batches of several sizes, and end the sampler."""
    found = [sampler.obtain_samples(0, steps, None).digest() for steps in (1, 60, 5)]
    sampler.shutdown_worker()
    return found


def cast(dtype: str) -> Any:
    """Return what shows an observation in that dtype."""
    return methodcaller("astype", dtype)


@settings(max_examples=20)
@given(
    dtypes=st.tuples(st.sampled_from(DTYPES), st.sampled_from(DTYPES)),
    n_envs=st.integers(1, 6),
    policy=st.sampled_from([Typed, SingleTyped, GlobalTyped]),
    longest=st.integers(1, 6),
)
def test_dtypes_may_change_after_the_reset(dtypes: Any, n_envs: int, policy: Any, longest: int) -> None:
    """The policy sees every episode in one dtype, the first of a worker as the last."""
    env = Dressed(cast(dtypes[0]), cast(dtypes[1]), longest)
    wanted = make_local(policy(), env, worker_class=DefaultWorker)
    wanted.obtain_samples(0, 60, None)  # by now it knows the dtype
    wanted.load_state_dict({**wanted.state_dict(), "call": 0})
    sampler = make_local(policy(), env, worker_class=VecWorker, worker_args={"n_envs": n_envs})
    assert digests(sampler) == digests(wanted)


@pytest.mark.processes
def test_dtypes_may_change_in_every_worker() -> None:
    """Workers that run their first episode late give what the others give."""
    env = Dressed(cast("f4"), cast("f8"))
    factory = WorkerFactory(max_episode_length=12, seed=7, n_workers=2, worker_args={"n_envs": 3})
    assert digests(MultiprocessingSampler(factory, Typed(), env)) == digests(make_local(Typed(), env))


def test_numbers_may_be_arrays_and_infos_none() -> None:
    """A reward of shape (1,) and flags as arrays are what the numbers are."""
    plain, boxed = (make_local(env=env).obtain_samples(0, 60, None) for env in (Walk(), Boxed()))
    assert np.array_equal(plain.rewards, boxed.rewards)
    assert np.array_equal(plain.step_types, boxed.step_types)


def test_text_is_recorded_as_objects() -> None:
    """Words of any length, whose dtype would depend on the longest one that a worker has seen."""
    batch = make_local(TextPolicy(), Dressed(spell, spell)).obtain_samples(0, 60, None)
    assert batch.observations.dtype == object
    assert {type(word) for word in batch.observations} == {str}


def named(observation: Any) -> dict[str, Any]:
    """Return an observation of one part."""
    return {"a": observation}


def changed(form: dict[str, Any], _: Any) -> dict[str, Any]:
    """Return an observation of another form, whatever there is to see."""
    return form


def spell(observation: Any) -> str:
    """Return a word instead of numbers."""
    return "w" * int(abs(observation[0]) * 3)


class TextPolicy:
    """A policy that reads."""

    def get_actions(self, words: Any, *, rngs: Sequence[np.random.Generator]) -> tuple[Any, dict[str, Any]]:
        del words
        return sample_gaussian(np.zeros((len(rngs), 3)), 1.0, rngs), {}


@pytest.mark.parametrize(
    ("at_step", "message"),
    [
        ({"a": np.zeros(2)}, r"shape \(2,\) after one of \(3,\)"),
        ({"a": np.zeros(3), "b": 1}, "2 parts after one of 1"),
        ({"b": 1}, "KeyError"),
    ],
)
def test_observations_of_another_form_are_errors_with_a_key(at_step: dict[str, Any], message: str) -> None:
    """They name the episode, and count only if it is needed, as whatever an environment raises."""
    env = Dressed(named, partial(changed, at_step))
    with pytest.raises(EpisodeError, match=message) as caught:
        make_local(TextPolicy(), env).obtain_samples(0, 60, None)
    assert caught.value.keys[0].episode == 0


def test_a_function_may_give_all_lanes_one_environment() -> None:
    """Each lane gets one of its own all the same."""
    shared = Walk(5)

    def share(_: Walk) -> Walk:
        return shared

    sampler = make_local(worker_class=VecWorker, worker_args={"n_envs": 4})
    wanted = make_local()
    updates: list[tuple[Any, Any]] = [(None, None), (share, Walk(5))]
    for update, own in updates:
        batch = sampler.obtain_samples(0, 60, None, update)
        assert batch.digest() == wanted.obtain_samples(0, 60, None, own).digest()
