"""The worker factory: a plain value that builds workers."""

import dataclasses
import pickle
from typing import Any

import pytest

from rlx_protocols import WorkerFactory


class RecordingWorker:
    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments


def test_builds_worker_with_seed_length_number_and_further_arguments() -> None:
    """A worker gets the factory's values and its own number."""
    factory = WorkerFactory(
        max_episode_length=9, seed=3, n_workers=2, worker_class=RecordingWorker, worker_args={"n_envs": 4}
    )
    assert factory(1).arguments == {"seed": 3, "max_episode_length": 9, "worker_number": 1, "n_envs": 4}


@pytest.mark.parametrize("number", [-1, 2])
def test_refuses_a_worker_that_does_not_exist(number: int) -> None:
    """Worker numbers run from 0 to n_workers - 1."""
    factory = WorkerFactory(max_episode_length=9, n_workers=2, worker_class=RecordingWorker)
    with pytest.raises(ValueError, match=f"worker {number} does not exist: n_workers is 2"):
        factory(number)


def test_refuses_to_build_without_a_class() -> None:
    """With worker_class=None only a sampler knows what to build."""
    with pytest.raises(ValueError, match="leaves the choice to the sampler"):
        WorkerFactory(max_episode_length=9)(0)


@pytest.mark.parametrize("field", ["max_episode_length", "n_workers"])
def test_refuses_counts_below_one(field: str) -> None:
    """Zero workers or zero steps are errors at construction."""
    counts = {"max_episode_length": 5, "n_workers": 1, field: 0}
    with pytest.raises(ValueError, match=f"{field} is 0"):
        WorkerFactory(max_episode_length=counts["max_episode_length"], n_workers=counts["n_workers"])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("max_episode_length", 2.5, "max_episode_length is 2.5; it must be a whole number"),
        ("n_workers", "2", "n_workers is '2'; it must be a whole number"),
        ("seed", "x", "seed is 'x'; it must be a whole number"),
        ("worker_class", 3, "worker_class is 3; it must be a class"),
        ("worker_args", [1], r"worker_args is \[1\]; it must be a dict"),
    ],
)
def test_refuses_values_of_another_kind(field: str, value: Any, words: str) -> None:
    """The message has the field's name and the value."""
    arguments: dict[str, Any] = {"max_episode_length": 5, field: value}
    with pytest.raises(TypeError, match=words):
        WorkerFactory(**arguments)


def test_refuses_a_negative_seed() -> None:
    """A root of random streams is not negative."""
    with pytest.raises(ValueError, match="seed is -1; it must not be negative"):
        WorkerFactory(max_episode_length=5, seed=-1)


def test_default_worker_fills_only_a_gap() -> None:
    """A chosen class wins over the sampler's default."""
    chosen = WorkerFactory(max_episode_length=5, worker_class=RecordingWorker)
    assert chosen.with_default_worker(dict) is chosen
    assert WorkerFactory(max_episode_length=5).with_default_worker(dict).worker_class is dict


def test_is_frozen_and_pickles() -> None:
    """The factory travels to other processes and nobody changes it on the way."""
    factory = WorkerFactory(max_episode_length=5, seed=1, worker_class=dict)
    assert pickle.loads(pickle.dumps(factory)) == factory
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        factory.seed = 2  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
