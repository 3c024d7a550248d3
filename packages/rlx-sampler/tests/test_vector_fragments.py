"""Stretches of time in the lanes of a vector environment."""

import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from sampler_worlds import Gaussian, make_factory, make_local
from vector_worlds import N_ENVS, Counting, GymWalk, OneGenerator, Zero

from rlx_sampler import EpisodeBatch, FragmentWorker, MultiprocessingSampler, StepType

vector: Any = gymnasium.vector
needs_modes = pytest.mark.skipif(not hasattr(vector, "AutoresetMode"), reason="gymnasium before 1.1")
MODES = ("NEXT_STEP", "SAME_STEP", "DISABLED")
STEPS = 7


def build(env: Callable[[], Any], mode: str) -> Any:
    """Return a vector environment of gymnasium."""
    return vector.SyncVectorEnv([env] * N_ENVS, autoreset_mode=vector.AutoresetMode[mode])


def sample(env: Any, policy: Any = None, **choices: Any) -> Any:
    """Return a sampler in this process."""
    args = {"timesteps_per_call": STEPS, **choices.pop("args", {})}
    return make_local(policy, env, worker_class=FragmentWorker, worker_args=args, **choices)


def assert_counted(batches: list[EpisodeBatch]) -> None:
    """Check every segment of `Counting`, and that the segments of a lane follow on each other."""
    for batch in batches:
        for segment in batch.split():
            ages = np.arange(len(segment.rewards)) + segment.env_infos["age"][0]
            assert np.array_equal(segment.env_infos["age"], ages)
            assert np.array_equal(segment.rewards, ages)
            assert np.array_equal(segment.observations["age"][:, 0], ages - 1)
            assert segment.last_observations["age"][0, 0] == ages[-1]
            assert segment.episode_infos["episode_length"][0] == ages[-1]
            assert segment.episode_infos["episode_return"][0] == ages.sum() + sum(range(int(ages[0])))
            end = segment.episode_infos["end"][0]
            if segment.complete[0]:
                assert ages[-1] == end
                assert segment.step_types[-1] == (StepType.TIMEOUT if end % 2 else StepType.TERMINAL)
            else:
                assert ages[-1] < end
            assert len(ages) == 1 or (segment.step_types[0] == StepType.FIRST) == (ages[0] == 1)


@needs_modes
class TestSeededLanes:
    @pytest.mark.parametrize("mode", MODES)
    def test_give_the_steps_of_single_environments(self, mode: str) -> None:
        """However the environment resets itself, every step is that of environments side by side."""
        sampler = sample(build(GymWalk, mode))
        wanted = sample(GymWalk, args={"n_envs": N_ENVS})
        for size in (5, 60, 1, 90):
            batch, other = (each.obtain_samples(0, size, None) for each in (sampler, wanted))
            for name in ("observations", "actions", "rewards", "step_types", "lengths", "complete"):
                assert np.array_equal(getattr(batch, name), getattr(other, name)), name
            assert np.array_equal(batch.last_observations, other.last_observations)
            for name, told in other.env_infos.items():
                assert np.array_equal(batch.env_infos[name], told, equal_nan=True)
            assert np.array_equal(batch.episode_infos["level"], other.episode_infos["level"])

    @pytest.mark.parametrize("mode", MODES)
    def test_record_what_happened(self, mode: str) -> None:
        """Labels, returns, lengths and infos of nested observations, over several calls."""
        sampler = sample(build(Counting, mode), Zero())
        assert_counted([sampler.obtain_samples(0, 40, None) for _ in range(3)])


class TestLanesWithoutSeeds:
    def test_give_as_many_steps_as_were_asked_for(self) -> None:
        """Steps in which lanes are only reset do not count, and are not in the batch."""
        sampler = sample(OneGenerator, Zero())
        for _ in range(3):
            batch = sampler.obtain_samples(0, 42, None)
            assert batch.n_steps >= 42
            firsts = np.cumsum(batch.lengths) - batch.lengths
            follows = np.ones(batch.n_steps, bool)
            follows[firsts] = False
            assert np.array_equal(np.diff(batch.observations[:, 0])[follows[1:]], np.ones(follows.sum()))
            assert np.array_equal(
                batch.last_observations[:, 0], batch.env_infos["age"][firsts + batch.lengths - 1]
            )
            assert np.array_equal(batch.rewards, batch.env_infos["age"])

    def test_that_are_cut_wait_for_their_reset(self) -> None:
        """An episode that the sampler's limit ends is followed by one that begins at its beginning."""
        sampler = sample(OneGenerator, Zero(), longest=3)
        for _ in range(4):
            batch = sampler.obtain_samples(0, 30, None)
            assert batch.episode_infos["episode_length"].max() == 3
            begins = batch.step_types == StepType.FIRST
            assert (batch.observations[begins] == 0).all()


@needs_modes
class TestState:
    @pytest.mark.parametrize("kind", ["SyncVectorEnv", "OneGenerator"])
    def test_continues_exactly_in_mid_episode(self, kind: str) -> None:
        """Environment, present observation and age are saved, and the next batches are the same."""
        env = OneGenerator if kind == "OneGenerator" else lambda: build(Counting, "NEXT_STEP")
        sampler, resumed = sample(env, Zero()), sample(env, Zero())
        sampler.obtain_samples(0, 30, None)
        resumed.load_state_dict(pickle.loads(pickle.dumps(sampler.state_dict())))
        for _ in range(2):
            digests = {each.obtain_samples(0, 30, None).digest() for each in (sampler, resumed)}
            assert len(digests) == 1
        assert "not checked, because the lanes of a vector environment live on" in sampler.exactness().reason

    def test_is_kept_under_another_policy(self) -> None:
        """Episodes continue when the policy is replaced."""
        sampler, other = (sample(build(Counting, "NEXT_STEP"), Zero()) for _ in range(2))
        first = [each.obtain_samples(0, 21, None) for each in (sampler, other)]
        second = [sampler.obtain_samples(0, 21, Zero()), other.obtain_samples(0, 21, None)]
        assert_counted([*first, *second])
        assert second[0].digest() == second[1].digest()

    def test_that_cannot_be_saved_lowers_the_grade(self) -> None:
        """An environment that holds what cannot be pickled begins again, and the grade says so."""

        class Unsaved(OneGenerator):
            def __reduce__(self) -> Any:
                raise TypeError("a simulator on a device")

        sampler = sample(Unsaved, Zero())
        sampler.obtain_samples(0, 30, None)
        assert str(sampler.exactness()).startswith("C: Unsaved cannot be saved in mid-episode")
        resumed = sample(Unsaved, Zero())
        resumed.load_state_dict(sampler.state_dict())
        assert resumed.obtain_samples(0, 30, None).n_steps >= 30


@needs_modes
@pytest.mark.processes
def test_work_in_processes() -> None:
    """Each worker has a vector environment of its own; the total of the lanes decides."""
    args = {"timesteps_per_call": STEPS}
    factory = make_factory(n_workers=2, worker_class=FragmentWorker, worker_args=args)
    sampler = MultiprocessingSampler(factory, Gaussian(), build(GymWalk, "NEXT_STEP"))
    wanted = sample(GymWalk, args={"n_envs": 2 * N_ENVS})
    for _ in range(2):
        batch, other = (each.obtain_samples(0, 60, None) for each in (sampler, wanted))
        assert np.array_equal(batch.observations, other.observations)
        assert np.array_equal(batch.step_types, other.step_types)
    assert "not checked, because the lanes of a vector environment live on" in sampler.exactness().reason
    sampler.shutdown_worker()
