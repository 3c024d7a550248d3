"""Environments that step all their lanes at once: right episodes however they reset themselves."""

import importlib
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from sampler_worlds import Gaussian, SingleGaussian, Walk, make_factory, make_local
from vector_worlds import N_ENVS, Counting, Falling, Foreign, GymWalk, OneGenerator, Zero

from rlx_sampler import (
    DefaultWorker,
    EpisodeBatch,
    EpisodeError,
    LocalSampler,
    MultiprocessingSampler,
    StepType,
    VecWorker,
)

vector: Any = gymnasium.vector
MODES: tuple[str, ...] = ("NEXT_STEP", "SAME_STEP", "DISABLED")
has_modes = hasattr(vector, "AutoresetMode")
needs_modes = pytest.mark.skipif(not has_modes, reason="gymnasium before 1.1 resets no single lane")


def build(env: Callable[[], Any], *, mode: str = "", kind: str = "SyncVectorEnv", **options: Any) -> Any:
    """Return a vector environment of gymnasium."""
    if mode:
        options["autoreset_mode"] = vector.AutoresetMode[mode]
    return getattr(vector, kind)([env] * N_ENVS, **options)


def sample(env: Any, policy: Any = None, **choices: Any) -> LocalSampler:
    """Return a sampler in this process with one worker for a vector environment."""
    return make_local(policy, env, worker_class=VecWorker, **choices)


def assert_whole(batch: EpisodeBatch) -> None:
    """Check the labels, rewards and last observations of every episode of `Counting`."""
    for episode, end in zip(batch.split(), batch.episode_infos["end"], strict=True):
        ages = np.arange(1, int(episode.lengths[0]) + 1)
        is_cut = len(ages) < end
        assert np.array_equal(episode.observations["age"][:, 0], ages - 1)
        assert np.array_equal(episode.rewards, ages)
        assert np.array_equal(episode.env_infos["age"], ages)
        assert episode.last_observations["age"][0, 0] == ages[-1]
        assert episode.last_observations["odd"][0] == ages[-1] % 2
        assert episode.step_types[0] == StepType.FIRST
        ends_well = not is_cut and end % 2 == 0
        assert episode.step_types[-1] == (StepType.TERMINAL if ends_well else StepType.TIMEOUT)


@needs_modes
class TestLanesThatCanBeSeeded:
    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("kind", ["SyncVectorEnv", "AsyncVectorEnv"])
    def test_give_the_episodes_of_single_environments(self, mode: str, kind: str) -> None:
        """However it resets itself, every bit of several batches is that of one environment at a time."""
        sampler = sample(lambda: build(GymWalk, mode=mode, kind=kind))
        wanted = make_local(env=GymWalk())
        for size in (5, 60, 1, 200):
            batch = sampler.obtain_samples(0, size, None)
            assert batch.digest() == wanted.obtain_samples(0, size, None).digest()
        assert sampler.exactness().grade == "A"
        sampler.shutdown_worker()

    @pytest.mark.parametrize("mode", MODES)
    def test_may_share_one_buffer(self, mode: str) -> None:
        """Observations that are views of what the environment changes later are recorded as they were."""
        sampler = sample(lambda: build(Counting, mode=mode, copy=False), Zero(), longest=5)
        batch = sampler.obtain_samples(0, 300, None)
        assert_whole(batch)
        assert set(batch.step_types) == set(StepType)

    @pytest.mark.parametrize("mode", ["SAME_STEP", "DISABLED"])
    def test_may_lack_shared_memory(self, mode: str) -> None:
        """Processes that send their observations are reset as others are."""
        sampler = sample(
            lambda: build(Counting, mode=mode, kind="AsyncVectorEnv", shared_memory=False), Zero()
        )
        assert_whole(sampler.obtain_samples(0, 60, None))
        sampler.shutdown_worker()

    def test_must_notice_a_reset(self) -> None:
        """The one kind that resets a lane twice is refused with the way out."""
        options: dict[str, Any] = {"mode": "NEXT_STEP", "kind": "AsyncVectorEnv", "shared_memory": False}
        with pytest.raises(ValueError, match="use shared_memory=True, or another autoreset_mode"):
            sample(lambda: build(Counting, **options), Zero())

    def test_can_be_run_again_alone(self) -> None:
        """Any episode can be had again."""
        sampler = sample(lambda: build(GymWalk))
        batch = sampler.obtain_samples(0, 60, None)
        assert sampler.replay(0, 2).digest() == batch.split()[2].digest()

    def test_may_be_wrapped(self) -> None:
        """Wrappers of vector environments hand resets on; their own infos are recorded too."""

        def wrap() -> Any:
            return gymnasium.wrappers.vector.RecordEpisodeStatistics(build(GymWalk, mode="SAME_STEP"))

        batch = sample(wrap).obtain_samples(0, 60, None)
        wanted = make_local(env=GymWalk()).obtain_samples(0, 60, None)
        assert np.array_equal(batch.observations, wanted.observations)
        assert np.array_equal(batch.step_types, wanted.step_types)

    def test_work_in_processes(self) -> None:
        """The same bits from workers that each have a vector environment, passed as it is."""
        factory = make_factory(n_workers=2, worker_class=VecWorker)
        sampler = MultiprocessingSampler(factory, Gaussian(), build(GymWalk))
        wanted = make_local(env=GymWalk())
        for _ in range(2):
            batch = sampler.obtain_samples(0, 100, None)
            assert batch.digest() == wanted.obtain_samples(0, 100, None).digest()
        assert sampler.exactness().grade == "A"
        sampler.shutdown_worker()

    def test_keep_the_histories_of_their_environments(self) -> None:
        """A wrapper with a history within the vector environment is found."""

        def normalised() -> Any:
            return gymnasium.wrappers.NormalizeObservation(GymWalk())

        assert "NormalizeObservation" in sample(build(normalised)).exactness().reason


class TestLanesThatCannotBeSeeded:
    @pytest.mark.parametrize("longest", [4, 12])
    def test_give_whole_episodes(self, longest: int) -> None:
        """Episodes begin at a reset and end at their end, or at the limit of the sampler."""
        sampler = sample(OneGenerator, Zero(), longest=longest)
        batches = [sampler.obtain_samples(0, size, None) for size in (300, *range(5, 25))]
        for batch in batches:
            for episode, end in zip(batch.split(), batch.episode_infos["end"], strict=True):
                length = int(episode.lengths[0])
                assert length == min(end, longest)
                assert np.array_equal(episode.observations[:, 0], np.arange(length))
                assert episode.last_observations[0, 0] == length
                well = length == end and end % 2 == 0
                assert episode.step_types[-1] == (StepType.TERMINAL if well else StepType.TIMEOUT)

    def test_go_on_exactly_in_one_process(self) -> None:
        """All lanes are seeded anew in every call, so a state leads to the same next batches."""
        sampler, resumed = sample(OneGenerator, Zero()), sample(OneGenerator, Zero())
        sampler.obtain_samples(0, 50, None)
        resumed.load_state_dict(sampler.state_dict())
        digests = {each.obtain_samples(0, 50, None).digest() for each in (sampler, resumed)}
        assert len(digests) == 1
        exactness = sampler.exactness()
        assert exactness.grade == "B"  # nobody has run an episode twice
        assert "takes no seed for a single lane" in exactness.reason

    def test_cannot_be_run_again_alone(self) -> None:
        """An episode depends on all that ran beside it, so that `replay` refuses instead of showing another."""
        sampler = sample(OneGenerator, Zero())
        sampler.obtain_samples(0, 50, None)
        with pytest.raises(ValueError, match="OneGenerator takes no seed for a single lane"):
            sampler.replay(0, 1)

    def test_lower_the_grade_in_processes(self) -> None:
        """Which worker runs what matters there, and the grade says so."""
        factory = make_factory(n_workers=2, worker_class=VecWorker)
        sampler = MultiprocessingSampler(factory, Zero(), OneGenerator)
        assert sampler.obtain_samples(0, 50, None).n_steps >= 50
        assert str(sampler.exactness()).startswith("C: OneGenerator takes no seed for a single lane")
        sampler.shutdown_worker()

    def test_are_not_biased_by_the_short_ones(self) -> None:
        """All five lengths are equally frequent, within five standard deviations."""
        batch = sample(OneGenerator, Zero(), seed=3).obtain_exact_episodes(2000, None)
        shares = np.bincount(batch.lengths, minlength=7)[2:] / 2000
        assert np.abs(shares - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / 2000)

    def test_old_vector_environments_of_gymnasium(self) -> None:
        """One that says nothing of how it resets itself is followed by what it does."""
        sampler = sample(lambda: build(Counting), Zero(), longest=9)
        assert_whole(sampler.obtain_samples(0, 100, None))


class TestEnvpool:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("envpool", reason="envpool is not installed")

    @staticmethod
    def build(seed: int) -> Any:
        """Build a pool of three poles."""
        envpool: Any = importlib.import_module("envpool")  # it is not installed wherever types are checked
        return envpool.make(
            "CartPole-v1", env_type="gymnasium", num_envs=N_ENVS, seed=seed, max_episode_steps=20
        )

    @pytest.mark.filterwarnings("ignore:.*precision lowered.*")
    def test_gives_whole_episodes(self) -> None:
        """Labels, true last observations and lengths are right, and the seed is the sampler's."""
        pool: Callable[..., Any] = self.build
        batches = [sample(pool, Zero(), longest=15, seed=s).obtain_samples(0, 200, None) for s in (1, 1, 2)]
        digests = [batch.digest() for batch in batches]
        assert digests[0] == digests[1] != digests[2]
        batch = batches[0]
        firsts = np.cumsum(batch.lengths) - batch.lengths
        assert np.abs(batch.observations[firsts]).max() <= 0.05
        assert not batch.env_infos["elapsed_step"][firsts - 1 + batch.lengths].min() < 8
        assert np.array_equal(batch.env_infos["elapsed_step"][firsts], np.ones(batch.n_episodes))
        fallen = np.abs(batch.last_observations[:, 2]) > 12 * np.pi / 180
        ends = batch.step_types[firsts + batch.lengths - 1]
        assert np.array_equal(ends == StepType.TERMINAL, fallen)

    @pytest.mark.filterwarnings("ignore:.*precision lowered.*")
    def test_must_be_built_from_a_seed(self) -> None:
        """A pool with a seed of its own would give all workers the same episodes."""
        pool: Callable[..., Any] = self.build
        with pytest.raises(TypeError, match="takes its seed when it is built: pass a function of the seed"):
            sample(lambda: pool(3), Zero())


class TestErrors:
    def test_of_a_lane_name_the_episodes(self) -> None:
        """An error in the vector environment names all that ran side by side; another one goes on."""
        sampler = sample(lambda: build(Falling), Zero())
        with pytest.raises(
            EpisodeError, match=r"the vector environment's step 1 raised .*the counter fell"
        ) as caught:
            sampler.obtain_samples(0, 9, None)
        assert len(caught.value.keys) == N_ENVS
        assert_whole(sampler.obtain_samples(0, 30, None, lambda: build(Counting)))

    def test_workers_of_single_environments_say_so(self) -> None:
        """A worker that cannot use a vector environment names the one that can."""
        with pytest.raises(
            TypeError, match="SyncVectorEnv is a vector environment, which needs worker_class=VecWorker"
        ):
            make_local(env=build(Counting), worker_class=DefaultWorker)

    def test_policies_that_act_for_one_say_so(self) -> None:
        """A policy without get_actions cannot act for all lanes."""
        sampler = sample(lambda: build(GymWalk), SingleGaussian())
        with pytest.raises(TypeError, match=r"3 lanes and the policy acts for 1: it needs get_actions"):
            sampler.obtain_samples(0, 9, None)

    def test_other_libraries_are_named(self) -> None:
        """A vector environment with another interface is refused with the way out."""
        with pytest.raises(TypeError, match="Foreign is a vector environment of another library"):
            sample(Foreign)


def keep(old: Any) -> Any:
    """Keep an environment, or build the first."""
    return old or Walk()


class TestLists:
    def test_give_a_worker_its_environments(self) -> None:
        """A list within the list of workers, or a tuple for all: built, to be built, the same bits."""
        args = {"worker_class": VecWorker, "worker_args": {"n_envs": 3}}
        several: tuple[Any, ...] = (Walk(), Walk, keep)
        wanted = make_local().obtain_samples(0, 60, None).digest()
        assert make_local(env=several, **args).obtain_samples(0, 60, None).digest() == wanted
        assert make_local(env=[list(several)], **args).obtain_samples(0, 60, None).digest() == wanted

    def test_can_be_updates(self) -> None:
        """A tuple of updates changes each environment; the caller's own are left alone."""
        mine = Walk(3)
        sampler = make_local(worker_class=VecWorker, worker_args={"n_envs": 2})
        batch = sampler.obtain_samples(0, 60, None, (mine, lambda: Walk(3)))
        assert batch.lengths.max() <= 3
        sampler.shutdown_worker()
        assert not mine.closed

    def test_travel_to_processes(self) -> None:
        """Workers in processes take them too."""
        factory = make_factory(n_workers=2, worker_class=VecWorker, worker_args={"n_envs": 2})
        sampler = MultiprocessingSampler(factory, Gaussian(), [[Walk(), Walk], [Walk, Walk()]])
        wanted = make_local(Gaussian(), [Walk(), Walk()], n_workers=2)
        assert sampler.obtain_samples(0, 60, None).digest() == wanted.obtain_samples(0, 60, None).digest()
        sampler.shutdown_worker()

    def test_must_have_the_right_length(self) -> None:
        """A worker has as many environments as lanes."""
        with pytest.raises(ValueError, match=r"list of 2 environments; n_envs is \d+"):
            make_local(env=(Walk(), Walk()), worker_class=VecWorker)

    def test_hold_no_vector_environments(self) -> None:
        """A vector environment stands alone."""
        with pytest.raises(TypeError, match="is the only environment of its worker"):
            make_local(env=(build(GymWalk), Walk()), worker_class=VecWorker, worker_args={"n_envs": 2})


def test_a_function_of_the_seed_builds_single_environments_too() -> None:
    """An environment that takes its seed at construction is built anew for every episode."""

    class Seeded(Walk):
        def __init__(self, seed: int) -> None:
            super().__init__()
            self.seed = seed

        def reset(self) -> Any:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            return super().reset(seed=self.seed)

    batch = make_local(env=Seeded).obtain_samples(0, 60, None)
    assert batch.digest() == make_local().obtain_samples(0, 60, None).digest()
