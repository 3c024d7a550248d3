"""Environments and policies that draw from generators which belong to no episode."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from sampler_worlds import Array, Gaussian, Walk, make_factory, make_local

from rlx_sampler import DefaultWorker, FragmentWorker, MultiprocessingSampler, VecWorker
from rlx_sampler._workers.spaces import Spaces


def draw_numpy() -> float:
    """Draw from NumPy's global generator."""
    return float(np.random.standard_normal())


def draw_python() -> float:
    """Draw from Python's."""
    return random.gauss(0, 1)


class Drawing(Walk):
    """A walk whose rewards have noise from a global generator."""

    def __init__(self, draw: Callable[[], float] = draw_numpy) -> None:
        super().__init__()
        self.draw = draw

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + self.draw(), terminated, truncated, info


class Late(Drawing):
    """A walk that draws in the last step of its longer episodes only."""

    is_long = False

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        self.is_long = self._left > 8
        return observation, info

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        return super().step(action) if self.is_long and self._left == 1 else Walk.step(self, action)


class Sampling(Walk):
    """A walk whose info at the beginning is a sample of its own action space, and of a nested one."""

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-1, 1, (3,))
        self.goals = spaces.Dict({"place": spaces.Discrete(1000), "pair": spaces.Tuple([spaces.Discrete(9)])})

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        goal = self.goals.sample()
        return observation, {**info, "try": self.action_space.sample(), "goal": goal["place"]}


class DrawingPolicy(Gaussian):
    """A policy that takes generators and draws from the global one all the same."""

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions + np.random.standard_normal(actions.shape), infos


numpy_random: Any = np.random  # whose types lack its global bit generator
WORLDS: list[tuple[Any, Any]] = [
    (Gaussian(), Drawing(draw_numpy)),
    (Gaussian(), Drawing(draw_python)),
    (Gaussian(), Late()),
    (Gaussian(), Sampling()),
    (DrawingPolicy(), Walk()),
]
NAMES = ["numpy", "python", "late", "spaces", "policy"]


@pytest.mark.parametrize("n_workers", [1, 2])
def test_that_begin_late_reach_the_grade_from_worker_processes(n_workers: int) -> None:
    """A draw in the middle of a fragment, in any process, takes the A away, as it does in this process."""
    factory = make_factory(n_workers=n_workers, worker_class=FragmentWorker, worker_args={"n_envs": 2})
    sampler = MultiprocessingSampler(factory, Gaussian(), Late())
    try:
        sampler.obtain_samples(0, 400, None)
        exactness = sampler.exactness()
    finally:
        sampler.shutdown_worker()
    assert exactness.grade == "C"
    assert "in the middle of a fragment" in exactness.reason


class TestBatches:
    @pytest.mark.parametrize(("policy", "env"), WORLDS, ids=NAMES)
    def test_do_not_depend_on_workers(self, policy: Any, env: Any) -> None:
        """One lane, several, and worker processes give the same bits, whatever was drawn before."""
        digests: list[str] = []
        for worker_class, worker_args in ((DefaultWorker, {}), (VecWorker, {"n_envs": 5})):
            np.random.standard_normal()
            random.random()
            sampler = make_local(policy, env, worker_class=worker_class, worker_args=worker_args)
            digests.append(sampler.obtain_samples(0, 100, None).digest())
        for n_workers in (1, 2):
            processes = MultiprocessingSampler(make_factory(n_workers=n_workers), policy, env)
            digests.append(processes.obtain_samples(0, 100, None).digest())
            processes.shutdown_worker()
        assert len(set(digests)) == 1

    @pytest.mark.parametrize(("policy", "env"), WORLDS, ids=NAMES)
    def test_leave_the_generators_of_the_run_alone(self, policy: Any, env: Any) -> None:
        """What the program itself draws afterwards is what it would have drawn without sampling."""
        random.seed(3)
        np.random.seed(3)
        wanted = random.random(), np.random.random()
        random.seed(3)
        np.random.seed(3)
        make_local(policy, env, worker_class=VecWorker, worker_args={"n_envs": 5}).obtain_samples(
            0, 100, None
        )
        assert (random.random(), np.random.random()) == wanted

    def test_of_several_lanes_draw_no_numbers_twice(self) -> None:
        """Each episode has numbers of its own."""
        sampler = make_local(Gaussian(), Drawing(), worker_class=VecWorker, worker_args={"n_envs": 5})
        rewards = sampler.obtain_samples(0, 200, None).rewards
        assert len(np.unique(rewards)) == len(rewards)

    def test_can_be_replayed(self) -> None:
        """One episode runs again by itself."""
        sampler = make_local(Gaussian(), Drawing(), worker_class=VecWorker, worker_args={"n_envs": 5})
        batch = sampler.obtain_samples(0, 100, None)
        assert sampler.replay(0, 2).digest() == batch.split()[2].digest()

    def test_with_another_kind_of_global_bit_generator(self) -> None:
        """A program may have set one that cannot be seeded again; it is put back."""
        kept = numpy_random.get_bit_generator()
        mine = np.random.PCG64(5)
        wanted = make_local(Gaussian(), Drawing()).obtain_samples(0, 50, None).digest()
        numpy_random.set_bit_generator(mine)
        try:
            assert make_local(Gaussian(), Drawing()).obtain_samples(0, 50, None).digest() == wanted
            assert numpy_random.get_bit_generator() is mine
        finally:
            numpy_random.set_bit_generator(kept)


class TestFragments:
    @pytest.mark.parametrize(("policy", "env"), WORLDS[:2] + WORLDS[3:], ids=[*NAMES[:2], *NAMES[3:]])
    def test_do_not_depend_on_how_workers_share_environments(self, policy: Any, env: Any) -> None:
        """Four environments in one worker, and in two, give the same bits."""
        args = {"timesteps_per_call": 5}
        one = make_local(policy, env, worker_class=FragmentWorker, worker_args={**args, "n_envs": 4})
        two = make_local(
            policy, env, worker_class=FragmentWorker, n_workers=2, worker_args={**args, "n_envs": 2}
        )
        assert one.obtain_samples(0, 60, None).digest() == two.obtain_samples(0, 60, None).digest()


class TestSpaces:
    def test_are_put_back(self) -> None:
        """A space that had no generator has none again, and one that had continues where it was."""
        env = Sampling()
        env.goals.seed(4)
        wanted = env.goals.sample()
        env.goals.seed(4)
        found = Spaces([env])
        states = found.read()
        found.seed(1)
        env.goals.sample()
        assert not states.is_present()
        states.put_back()
        assert states.is_present()
        assert env.goals.sample() == wanted

    def test_of_wrappers_and_classes_are_found(self) -> None:
        """A space counts wherever in the layers it is."""

        class Inner(gymnasium.Env[Any, Any]):
            action_space = spaces.Discrete(10**6)
            observation_space = spaces.Discrete(2)

        class Outer(gymnasium.ActionWrapper[Any, Any, Any]):
            def action(self, action: Any) -> Any:
                return action

        wrapped = Outer(Inner())
        wrapped.action_space = spaces.Discrete(10**6)
        states = Spaces([wrapped]).read()
        for space in (Inner.action_space, wrapped.action_space):
            space.sample()
            assert not states.is_present()
            states.put_back()
            assert states.is_present()
