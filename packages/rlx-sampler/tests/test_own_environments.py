"""Which environment runs in which lane: one that a function built for it, or the one of its place in a list."""

import collections
import itertools
import threading
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Gaussian, Walk, make_factory, make_local

from rlx_sampler import FragmentWorker, MultiprocessingSampler, NewEnvUpdate, SetTaskUpdate, VecWorker


class Locked(Walk):
    """Holds what cannot be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Numbered(Walk):
    """Says its number at every step, and in an observation."""

    def __init__(self, number: int = 0, longest: int = 15) -> None:
        super().__init__(longest)
        self.number = number

    @property
    def unwrapped(self) -> "Numbered":
        return self

    def set_task(self, number: int) -> None:
        self.number = number

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, {"number": self.number}


def numbers(batch: Any) -> set[int]:
    """Return the numbers of the environments that a batch is from."""
    return set(batch.env_infos["number"].tolist())


class TestFunctions:
    @pytest.mark.parametrize("worker_class", [VecWorker, FragmentWorker])
    def test_are_called_once_a_lane(self, worker_class: Any) -> None:
        """Each lane has an environment that was built for it, with resources of its own."""
        count = itertools.count()
        sampler = make_local(
            env=lambda: Numbered(next(count)), worker_class=worker_class, worker_args={"n_envs": 4}
        )
        assert numbers(sampler.obtain_samples(0, 200, None)) == {0, 1, 2, 3}
        assert next(count) == 4

    def test_may_build_what_cannot_be_pickled(self) -> None:
        """Worker processes call the function too, rather than copying what it built."""
        sampler = MultiprocessingSampler(make_factory(worker_args={"n_envs": 3}), Gaussian(), Locked)
        batch = sampler.obtain_samples(0, 60, None)
        sampler.shutdown_worker()
        assert batch.digest() == make_local().obtain_samples(0, 60, None).digest()

    def test_are_followed_by_what_changed_the_environment(self) -> None:
        """A lane that is built later is changed as those before it."""
        sampler = make_local(env=Numbered, worker_class=VecWorker, worker_args={"n_envs": 3})
        sampler.obtain_samples(0, 1, None)
        batch = sampler.obtain_samples(0, 200, None, SetTaskUpdate(Numbered, 5))
        assert numbers(batch) == {5}

    def test_that_give_one_object_again_are_copied(self) -> None:
        """Lanes never share an environment."""
        mine = Walk()
        sampler = make_local(env=lambda: mine, worker_class=VecWorker, worker_args={"n_envs": 3})
        assert (
            sampler.obtain_samples(0, 60, None).digest() == make_local().obtain_samples(0, 60, None).digest()
        )


class TestLists:
    @pytest.mark.parametrize("form", ["tuple for all", "list of lists", "list of policies"])
    def test_use_every_lane(self, form: str) -> None:
        """Environments of a list run side by side, in garage's form too."""
        lanes = [Numbered(number) for number in range(5)]
        agents = [Gaussian()] if form == "list of policies" else Gaussian()
        envs: Any = [lanes] if form == "list of lists" else tuple(lanes)
        sampler = make_local(agents, envs, worker_class=VecWorker, worker_args={"n_envs": 5})
        sampler.obtain_samples(0, 300, None)
        counts = collections.Counter[int](sampler.obtain_samples(1, 300, None).env_infos["number"].tolist())
        assert set(counts) == {0, 1, 2, 3, 4}

    def test_of_policies_are_asked_for_several_lanes_at_once(self) -> None:
        """A worker with a policy of its own fills its lanes as any other."""
        sampler = make_local([Gaussian()], Walk(), worker_class=VecWorker, worker_args={"n_envs": 4})
        wanted = make_local().obtain_samples(0, 200, None)
        assert sampler.obtain_samples(0, 200, None).digest() == wanted.digest()


class TestChanges:
    def test_that_replace_each_other_are_kept_once(self) -> None:
        """A task that is set a thousand times is remembered once, and so is a new environment."""
        sampler = make_local(env=Numbered(), worker_class=VecWorker, worker_args={"n_envs": 2})
        for task in range(50):
            sampler.obtain_samples(task, 1, None, SetTaskUpdate(Numbered, task))
        (setup,) = vars(sampler)["_setups"]
        assert len(setup.env_updates) == 1
        sampler.obtain_samples(50, 1, None, NewEnvUpdate(lambda: Numbered(9)))
        (setup,) = vars(sampler)["_setups"]
        assert len(setup.env_updates) == 1
        resumed = make_local(env=Numbered(), worker_class=VecWorker, worker_args={"n_envs": 2})
        resumed.load_state_dict(sampler.state_dict())
        assert numbers(resumed.obtain_samples(0, 30, None)) == {9}

    def test_by_functions_are_bounded(self) -> None:
        """Many functions of an environment are applied to the sampler's copy, and a resumed run has them all."""

        def count_up(old_env: Any) -> Any:
            old_env.number += 1
            return old_env

        sampler = make_local(env=Numbered(), worker_class=VecWorker, worker_args={"n_envs": 2})
        for call in range(70):
            sampler.obtain_samples(call, 1, None, count_up)
        (setup,) = vars(sampler)["_setups"]
        assert len(setup.env_updates) < 70
        resumed = make_local(env=Numbered(), worker_class=VecWorker, worker_args={"n_envs": 2})
        resumed.load_state_dict(sampler.state_dict())
        assert numbers(resumed.obtain_samples(0, 30, None)) == {70}
        assert numbers(sampler.obtain_samples(0, 30, None)) == {70}

    def test_of_a_subclass_replace_nothing(self) -> None:
        """An update that does something of its own says itself what it replaces."""

        class Doubled(SetTaskUpdate):
            def __call__(self, old_env: Any = None) -> Any:
                old_env.number *= 2
                return old_env

        assert not Doubled(Numbered, 1).replaces(Doubled(Numbered, 1))


def test_environments_of_several_agents_are_named_with_the_way_out() -> None:
    """One with PettingZoo's interface is refused before anything runs."""

    class Parallel:
        possible_agents = ("a", "b")

        def observation_space(self, agent: str) -> Any: ...
        def reset(self, seed: int | None = None, options: Any = None) -> Any: ...
        def step(self, actions: Any) -> Any: ...
        def close(self) -> None: ...

    with pytest.raises(TypeError, match="Parallel is an environment of several agents, as PettingZoo"):
        make_local(env=Parallel())


class TestAfterAnInterruption:
    class Stopping(Gaussian):
        """Its parameters arrive, and then Ctrl-C does."""

        stops = False

        def set_param_values(self, values: dict[str, Any]) -> None:
            super().set_param_values(values)
            if type(self).stops:
                raise KeyboardInterrupt("now")

    def interrupt(self, sampler: Any) -> None:
        """Update the policy, and interrupt that on the way."""
        self.Stopping.stops = True
        with pytest.raises(KeyboardInterrupt, match="now"):
            sampler.obtain_samples(0, 20, {"gain": np.float32(0.7)})
        self.Stopping.stops = False

    def test_of_an_update_all_workers_hold_what_they_held(self) -> None:
        """The next call runs the policy from before the interrupted one in every worker."""
        samplers = [make_local(self.Stopping(), n_workers=1) for _ in range(2)]
        self.interrupt(samplers[0])
        digests = [sampler.obtain_samples(0, 60, None).digest() for sampler in samplers]
        assert digests[0] == digests[1]
        assert samplers[0].exactness().grade == "A"

    def test_of_an_update_the_grade_says_that_fragments_began_again(self) -> None:
        """Environments that live on between calls are lost with the workers."""
        sampler = make_local(self.Stopping(), worker_class=FragmentWorker, worker_args={"n_envs": 2})
        self.interrupt(sampler)
        sampler.obtain_samples(0, 20, None)
        assert str(sampler.exactness()).startswith("C: a call was interrupted or raised")

    def test_of_fragments_the_grade_says_that_steps_differ(self) -> None:
        """Some environments have advanced and others have not."""

        class Interrupting(Walk):
            stops = False

            def step(self, action: Any) -> Any:
                if type(self).stops:
                    raise KeyboardInterrupt("now")
                return super().step(action)

        sampler = make_local(env=Interrupting, worker_class=FragmentWorker, worker_args={"n_envs": 2})
        sampler.obtain_samples(0, 20, None)
        assert sampler.exactness().grade == "A"
        Interrupting.stops = True
        with pytest.raises(KeyboardInterrupt, match="now"):
            sampler.obtain_samples(0, 20, None)
        assert sampler.exactness().grade == "C"
