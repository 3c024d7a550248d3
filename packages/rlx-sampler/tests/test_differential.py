"""One environment a worker, one episode at a time, against every other way to run the same episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlx_sampler import (
    DefaultWorker,
    EpisodeError,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
    WorkerFactory,
    sample_gaussian,
)
from rlx_sampler._batches.trees import leaves

FORMS = ["array", "scalar", "empty", "dict", "tuple", "list", "words"]
INFOS = ["none", "numbers", "gaps", "nested", "dict or not", "words", "arrays", "wild"]
POLICIES = ["batched", "single", "global", "remembering"]


@dataclass(frozen=True)
class World:
    """What an environment is like."""

    form: str
    infos: str
    dtypes: tuple[str, str]
    longest: int
    is_deadly: bool
    """Whether some episodes raise."""


class Wanderer:
    """A random walk that shows itself in any form; it gives the same arrays again and again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._rng = np.random.default_rng(0)
        self._place = np.zeros(2)
        self._age = 0
        self._end = 0

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[Any, Any]]:
        self._rng = np.random.default_rng(seed)
        self._place[:] = self._rng.normal(size=2)
        self._age, self._end = 0, int(self._rng.integers(1, self.world.longest + 1))
        return self._shown(self.world.dtypes[0]), self._said()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[Any, Any]]:
        self._age += 1
        if self.world.is_deadly and self._age == 3 and self._end % 5 == 0:
            raise OSError("the walk is over")
        self._place += 0.1 * np.asarray(action, float) + self._rng.normal(size=2)
        ends = self._age >= self._end
        kind = self._end % 3
        shown = self._shown(self.world.dtypes[1])
        return shown, float(self._place[0]), ends and kind != 0, ends and kind != 1, self._said()

    def _shown(self, dtype: str) -> Any:
        place = self._place.astype(dtype)
        forms: dict[str, Any] = {
            "array": self._place if dtype == "f8" else place,
            "scalar": place[0],
            "empty": place[:0],
            "dict": {"x": place[:1], "deep": {"age": self._age, "y": place[1]}},
            "tuple": (place, self._age),
            "list": place.tolist(),
            "words": "ab" * self._age,
        }
        return forms[self.world.form]

    def _said(self) -> dict[Any, Any]:
        age, is_odd = self._age, self._age % 2 == 1
        infos: dict[str, dict[Any, Any]] = {
            "none": {},
            "numbers": {"age": age, "share": age / 2, "flag": is_odd, "single": np.float32(age)},
            "gaps": {"odd": age} if is_odd else {"even": float(age), 3: age},
            "nested": {"a": {"b": age, "c": {"d": self._place}}},
            "dict or not": {"a": {"b": age} if is_odd else None},
            "words": {"name": "x" * age, "is": None},
            "arrays": {"place": self._place, "ragged": np.zeros(age % 3)},
            "wild": {"n": age if is_odd else 0.5 * age, "big": 2**63 + age, "all": [self._place, {age}]},
        }
        return infos[self.world.infos]

    def close(self) -> None:
        """There is nothing to close."""


def worth(observations: Any, n_rows: int) -> Any:
    """Return a number a row, whatever the observations are."""
    _, leaf = next(leaves(observations))
    if leaf.dtype == object:
        return np.array([[len(word)] for word in leaf], float)
    return np.tanh(leaf.reshape(n_rows, -1).sum(1, keepdims=True, dtype=float)) * leaf.dtype.itemsize


class Batched:
    """Acts for many rows."""

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Any, dict[str, Any]]:
        mean = worth(observations, len(rngs)) * np.ones(2)
        noise = np.array([rng.random() for rng in rngs])
        return sample_gaussian(mean, 0.5, rngs), {"mean": mean, "deep": {"noise": noise}}


class Remembering(Batched):
    """Acts for many rows and remembers how often it did for each."""

    def __init__(self) -> None:
        self.age: Any = None

    def reset(self, dones: Any) -> None:
        self.age = np.where(dones, 0, self.age if self.age is not None and len(self.age) == len(dones) else 0)

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Any, dict[str, Any]]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        self.age = self.age + 1
        return actions + self.age[:, None], infos


class Single:
    """Acts for one row."""

    def get_action(self, observation: Any, *, rng: np.random.Generator) -> tuple[Any, dict[str, Any]]:
        seen = observation.ravel().sum() if isinstance(observation, np.ndarray) else 0.0
        return rng.normal(size=2) + (0.0 if isinstance(seen, str | int) else seen), {}


class Global:
    """Acts for one row with noise from NumPy's own generator."""

    def get_action(self, observation: Any) -> tuple[Any, None]:
        del observation
        return np.random.normal(size=2), None


BUILD: dict[str, Any] = {"batched": Batched, "single": Single, "global": Global, "remembering": Remembering}

worlds = st.builds(
    World,
    form=st.sampled_from(FORMS),
    infos=st.sampled_from(INFOS),
    dtypes=st.tuples(st.sampled_from(["f4", "f8", "i4"]), st.sampled_from(["f4", "f8"])),
    longest=st.integers(1, 30),
    is_deadly=st.booleans(),
)


def outcomes(sampler: Any, sizes: Sequence[int]) -> list[Any]:
    """Return what came of some calls: digests, or the episode that broke."""
    found = list[Any]()
    for size in sizes:
        try:
            found.append(sampler.obtain_samples(0, size, None).digest())
        except EpisodeError as error:
            found.append((error.where, error.keys, error.reason))
            sampler.load_state_dict({**sampler.state_dict(), "call": sampler.state_dict()["call"] + 1})
    sampler.shutdown_worker()
    return found


@settings(max_examples=25)
@given(
    world=worlds,
    policy=st.sampled_from(POLICIES),
    n_envs=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=3),
    seed=st.integers(0, 2**70),
    longest=st.integers(1, 12),
)
def test_any_number_of_environments_gives_the_same(
    world: World, policy: str, n_envs: int, sizes: list[int], seed: int, longest: int
) -> None:
    """Batches, and which episode breaks them, do not depend on how many run side by side."""
    one = WorkerFactory(max_episode_length=longest, seed=seed, worker_class=DefaultWorker)
    many = WorkerFactory(
        max_episode_length=longest, seed=seed, worker_class=VecWorker, worker_args={"n_envs": n_envs}
    )
    wanted = outcomes(LocalSampler(one, BUILD[policy](), Wanderer(world)), sizes)
    assert outcomes(LocalSampler(many, BUILD[policy](), Wanderer(world)), sizes) == wanted


@pytest.mark.slow
@pytest.mark.processes
@settings(max_examples=20)
@given(
    world=worlds,
    policy=st.sampled_from(POLICIES),
    n_workers=st.integers(1, 3),
    n_envs=st.integers(1, 5),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=3),
    shared_memory=st.sampled_from([None, False]),
)
def test_any_number_of_processes_gives_the_same(
    world: World, policy: str, n_workers: int, n_envs: int, sizes: list[int], shared_memory: bool | None
) -> None:
    """Batches, and which episode breaks them, do not depend on the processes or how they speak."""
    one = WorkerFactory(max_episode_length=10, seed=3, worker_class=DefaultWorker)
    args = {"n_envs": n_envs}
    many = WorkerFactory(max_episode_length=10, seed=3, n_workers=n_workers, worker_args=args)
    wanted = outcomes(LocalSampler(one, BUILD[policy](), Wanderer(world)), sizes)
    sampler = MultiprocessingSampler(many, BUILD[policy](), Wanderer(world), shared_memory=shared_memory)
    assert outcomes(sampler, sizes) == wanted
