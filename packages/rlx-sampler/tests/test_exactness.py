"""What a sampler says of its own exactness, and environments with a history."""

import sys
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Array, Gaussian, GlobalGaussian, Walk, make_factory, make_local

from rlx_sampler import (
    DefaultWorker,
    Exactness,
    FragmentWorker,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
)


class Drifting(Walk):
    """A walk whose rewards shrink with every step that it ever took."""

    keeps_history = True

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        self.taken += 1
        return observation, reward / self.taken, terminated, truncated, info


class NormalizeObservation:
    """Bears the name of gymnasium's wrapper and wraps as it does."""

    def __init__(self, env: Any) -> None:
        self.env = env

    def reset(self, **options: Any) -> Any:
        return self.env.reset(**options)

    def step(self, action: Any) -> Any:
        return self.env.step(action)

    def close(self) -> None:
        self.env.close()


def find_nothing(name: str) -> None:
    """Find no library."""


def grade_in_processes(env: Any) -> Exactness:
    """Return what a sampler with a worker process says."""
    sampler = MultiprocessingSampler(make_factory(), Gaussian(), env)
    exactness = sampler.exactness()
    sampler.shutdown_worker()
    return exactness


class TestGrades:
    def test_of_keyed_episodes(self) -> None:
        """Nothing but keys: grade A, here and in processes."""
        exactness = make_local().exactness()
        assert (exactness.grade, exactness.reasons) == ("A", ("episodes are keyed",))
        assert grade_in_processes(Walk()).grade == "A"

    def test_of_global_generators(self) -> None:
        """A policy that draws from nothing but these, which are seeded for each episode: grade A."""
        assert str(make_local(GlobalGaussian()).exactness()) == "A: episodes are keyed"

    @pytest.mark.parametrize("env", [Drifting(), NormalizeObservation(Walk())])
    def test_of_environments_that_say_they_have_a_history(self, env: Any) -> None:
        """Exact in one process, where the history is saved; grade C across processes, with the reason."""
        name = type(env).__name__
        exactness = make_local(env=env).exactness()
        assert exactness.grade == "A"
        assert exactness.reason.startswith(f"the history of {name}")
        assert grade_in_processes(env).grade == "C"
        assert f"{name}" in grade_in_processes(env).reason

    def test_without_the_library_that_saves_environments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What cannot be saved lowers the grade, and the reason names the extra."""
        sampler = make_local(worker_class=FragmentWorker)
        sampler.obtain_samples(0, 9, None)
        assert sampler.exactness().grade == "A"
        state = sampler.state_dict()
        monkeypatch.setitem(sys.modules, "rlx_snapshot", None)
        monkeypatch.setattr("rlx_sampler._exactness.find_spec", find_nothing)
        assert sampler.exactness().grade == "C"
        assert "rlx-sampler[stateful]" in sampler.exactness().reason
        assert sampler.state_dict()["live"] == []
        with pytest.raises(ModuleNotFoundError, match=r"rlx-sampler\[stateful\]"):
            make_local(worker_class=FragmentWorker).load_state_dict(state)


class TestHistories:
    @pytest.mark.parametrize(
        ("worker_class", "worker_args"), [(DefaultWorker, {}), (VecWorker, {"n_envs": 3})]
    )
    def test_go_on_exactly_in_one_process(self, worker_class: Any, worker_args: dict[str, int]) -> None:
        """The history comes back with the state, for one environment and for several."""

        def build() -> LocalSampler:
            return make_local(env=Drifting(), worker_class=worker_class, worker_args=worker_args)

        sampler, resumed = build(), build()
        sampler.obtain_samples(0, 60, None)
        resumed.load_state_dict(sampler.state_dict())
        for _ in range(2):
            batch = sampler.obtain_samples(0, 60, None)
            assert np.abs(batch.rewards).max() < 1
            assert resumed.obtain_samples(0, 60, None).digest() == batch.digest()

    def test_do_not_go_on_in_other_processes(self) -> None:
        """The history of one process cannot be split among several."""
        sampler = make_local(env=Drifting())
        sampler.obtain_samples(0, 60, None)
        other = MultiprocessingSampler(make_factory(n_workers=2), Gaussian(), Drifting())
        with pytest.raises(ValueError, match="environments with a history"):
            other.load_state_dict(sampler.state_dict())
        other.shutdown_worker()
