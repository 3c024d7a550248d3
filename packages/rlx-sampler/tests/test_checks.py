"""Nonsense is refused early, by its name and with a way out."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Array, Gaussian, Walk, make_factory, make_local

from rlx_sampler import (
    EpisodeBatch,
    FragmentWorker,
    LocalSampler,
    MultiprocessingSampler,
    NewEnvUpdate,
    ObservationNormalizer,
    PerWorker,
    RaySampler,
    SetTaskUpdate,
    TimeStepBatch,
    VecWorker,
    WorkerFactory,
    sample_categorical,
)


class TestNumbers:
    @pytest.mark.parametrize("value", ["a", None, 2.5, math.nan, math.inf, True, "3", [3]])
    def test_of_steps_and_episodes_are_whole(self, value: Any) -> None:
        """What is no whole number is an error, and no endless call."""
        with pytest.raises(TypeError, match=r"num_samples is .*; it must be a whole number"):
            make_local().obtain_samples(0, value, None)
        with pytest.raises(TypeError, match=r"n_eps_per_worker is .*; it must be a whole number"):
            make_local().obtain_exact_episodes(value, None)

    @pytest.mark.parametrize("value", [1e2, np.int64(100), np.float32(100)])
    def test_of_other_kinds_will_do(self, value: Any) -> None:
        """Floats that are whole, as in 1e4, and NumPy's numbers are numbers too."""
        batch = make_local().obtain_samples(0, value, None)
        assert batch.digest() == make_local().obtain_samples(0, 100, None).digest()

    @pytest.mark.parametrize("name", ["n_envs", "inference_rows"])
    def test_of_workers_are_whole(self, name: str) -> None:
        """Worker arguments are checked when the sampler is built."""
        with pytest.raises(TypeError, match=f"{name} is '2'"):
            make_local(worker_class=VecWorker, worker_args={name: "2"})

    @pytest.mark.parametrize("n_workers", ["2", 2.5, None])
    def test_of_workers_in_the_factory_are_whole(self, n_workers: Any) -> None:
        """The factory refuses them itself."""
        with pytest.raises(TypeError, match="n_workers is"):
            make_factory(n_workers=n_workers)

    def test_of_streams_are_not_negative(self) -> None:
        """Random streams are counted from 0."""
        with pytest.raises(ValueError, match="stream is -1"):
            LocalSampler(make_factory(), Gaussian(), Walk(), stream=-1)

    def test_of_calls_and_episodes_are_whole(self) -> None:
        """An episode to be run again is named by two of them."""
        with pytest.raises(ValueError, match="call is -1"):
            make_local().replay(-1, 0)
        with pytest.raises(TypeError, match="episode is 'a'"):
            make_local().replay(0, "a")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @pytest.mark.parametrize("sampler_cls", [MultiprocessingSampler, RaySampler])
    @pytest.mark.parametrize("seconds", ["a", None, [1]])
    def test_of_seconds_are_numbers(self, sampler_cls: Any, seconds: Any) -> None:
        """A timeout of another kind is refused before anything starts."""
        with pytest.raises(TypeError, match=r"worker_timeout is .*; it must be a number of seconds"):
            sampler_cls(make_factory(), Gaussian(), Walk(), worker_timeout=seconds)

    @pytest.mark.parametrize("sampler_cls", [MultiprocessingSampler, RaySampler])
    @pytest.mark.parametrize("seconds", [0, -1.5, math.nan])
    def test_of_seconds_are_positive(self, sampler_cls: Any, seconds: float) -> None:
        """So is one that is over at once."""
        with pytest.raises(ValueError, match=f"worker_timeout is {seconds}; it must be a positive"):
            sampler_cls(make_factory(), Gaussian(), Walk(), worker_timeout=seconds)


def build_walk(**arguments: Any) -> Walk:
    """Build no worker."""
    return Walk()


class TestParts:
    @pytest.mark.parametrize("factory", [3, None, WorkerFactory, "factory"])
    def test_a_factory_is_one(self, factory: Any) -> None:
        """Anything else as factory is refused."""
        with pytest.raises(TypeError, match=r"the factory is .*; it must be a WorkerFactory"):
            LocalSampler(factory, Gaussian(), Walk())

    def test_a_class_is_no_policy(self) -> None:
        """A class instead of an object is named."""
        with pytest.raises(TypeError, match="Gaussian is a class, not a policy: pass an object of it"):
            make_local(Gaussian)

    @pytest.mark.parametrize("policy", [3, np.zeros, {"weights": 1}])
    def test_a_policy_acts(self, policy: Any) -> None:
        """What has no get_action is refused, with what a policy is."""
        with pytest.raises(TypeError, match="is no policy: it has neither get_actions"):
            make_local(policy)

    @pytest.mark.parametrize("env", ["CartPole-v1", {"a": 1}, 5])
    def test_an_environment_is_one(self, env: Any) -> None:
        """A name is no environment."""
        with pytest.raises(TypeError, match="is neither an environment nor a function that gives one"):
            make_local(env=env)

    def test_a_function_gives_an_environment(self) -> None:
        """One that gives something else is named."""
        with pytest.raises(TypeError, match=r"gave None, which has no reset\(\) and step\(\)"):
            make_local(env=lambda: None)

    def test_functions_with_defaults_are_called_without_arguments(self) -> None:
        """A class or function whose parameters all have defaults builds; it is not given the old one."""
        wanted = make_local().obtain_samples(0, 60, None).digest()
        assert make_local(env=Walk).obtain_samples(0, 60, None).digest() == wanted
        assert make_local().obtain_samples(0, 60, None, Walk).digest() == wanted

    def test_workers_are_workers(self) -> None:
        """A worker class of another kind is refused."""
        with pytest.raises(TypeError, match=r"worker_class gave .* must be a subclass of rlx_sampler.Worker"):
            make_local(worker_class=build_walk)


class OldReset(Walk):
    """Gives observations as gym did."""

    def reset(self, *, seed: int | None = None) -> Any:
        return super().reset(seed=seed)[0]


class Answering:
    """A policy that gives what it is told to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    def get_action(self, observation: Array) -> Any:
        return self.answer()


class TestInterfaces:
    def test_of_old_environments_are_named(self) -> None:
        """An environment that speaks the old API is told from a fault in it."""
        with pytest.raises(
            TypeError, match=r"reset\(\) of OldReset gave .* environments speak gymnasium's API"
        ):
            make_local(env=OldReset()).obtain_samples(0, 9, None)

    @pytest.mark.parametrize("answer", [lambda: np.zeros(2), lambda: np.zeros(3), lambda: (1, 2, 3)])
    def test_of_policies_have_two_parts(self, answer: Any) -> None:
        """An action alone is not taken apart, whatever its length."""
        with pytest.raises(RuntimeError, match="a policy must return actions and a dict"):
            make_local(Answering(answer)).obtain_samples(0, 9, None)

    def test_of_policies_may_leave_out_infos(self) -> None:
        """None stands for no infos."""
        batch = make_local(Answering(lambda: (np.zeros(3), None))).obtain_samples(0, 9, None)
        assert batch.agent_infos == {}


BAD: Any = 5
TEXT: Any = "5"


class TestKinds:
    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: PerWorker(BAD), "values is 5; it must be a list of one value a worker"),
            (lambda: NewEnvUpdate(BAD), "build is 5; it must be a function that returns an environment"),
            (lambda: SetTaskUpdate(BAD, "task"), "build is 5; it must be a function that returns"),
            (lambda: EpisodeBatch.from_list(None, BAD), "paths is 5; it must be a list of dicts"),
            (lambda: EpisodeBatch.from_list(None, [BAD]), "paths holds 5; all must be dicts"),
            (lambda: EpisodeBatch.concatenate(BAD), "batches holds 5; all must be batches of episodes"),
            (
                lambda: TimeStepBatch.concatenate(BAD),
                "batches holds 5; all must be batches of time steps",
            ),
            (lambda: TimeStepBatch.from_time_step_list(None, BAD), "ts_samples is 5; it must be a list"),
            (
                lambda: sample_categorical(np.ones((1, 2)), BAD),
                "rng is 5; it must be a list of NumPy's generators",
            ),
            (
                lambda: sample_categorical(np.ones((1, 2)), [BAD]),
                "rng holds 5; all must be NumPy's generators",
            ),
            (lambda: make_factory()(TEXT), "worker_number is '5'; it must be a whole number"),
            (lambda: ObservationNormalizer((2,), clip=TEXT), "clip is '5'; it must be a number"),
            (
                lambda: FragmentWorker(
                    seed=1,
                    max_episode_length=5,
                    worker_number=0,
                    timesteps_per_call=TEXT,
                ),
                "timesteps_per_call is '5'; it must be a whole number",
            ),
        ],
    )
    def test_are_named_where_they_are_given(self, call: Callable[[], object], words: str) -> None:
        """The message has the argument, its value and what would do."""
        with pytest.raises(TypeError, match=words):
            call()
