"""What samplers have got wrong, each with a test, and with a faulty sampler that the test notices."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
import pytest
from faulty_workers import FAULTS, SHORT, Coin, FaultyWorker, Still, stop_at_budget
from sampler_worlds import Gaussian, Walk, make_factory, make_local, run_reference

import rlx_sampler
from rlx_sampler import (
    EVALUATION,
    DefaultWorker,
    EpisodeBatch,
    EpisodeKey,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
)

SEED = 7
EPISODES = 60
BATCHES = 100
Check: TypeAlias = Callable[[dict[str, Any], EpisodeBatch], bool]
KINDS: dict[str, Check] = {
    "views": lambda ran, episode: np.array_equal(episode.observations, ran["seen"][:-1]),
    "lost end": lambda ran, episode: np.array_equal(episode.last_observations[0], ran["seen"][-1]),
    "all terminal": lambda ran, episode: episode.step_types.tolist() == ran["types"],
    "all timeout": lambda ran, episode: episode.step_types.tolist() == ran["types"],
    "unseeded": lambda ran, episode: np.array_equal(episode.observations[0], ran["seen"][0]),
}
"""What a fault spoils: true of an episode that is as the plain loop ran it."""


def is_right(batch: EpisodeBatch, fault: str) -> bool:
    """Whether no episode of a first batch has `fault`."""
    ran = (run_reference(Walk(), Gaussian(), EpisodeKey(SEED, 0, 0, i), 12) for i in range(batch.n_episodes))
    return all(KINDS[fault](each, episode) for each, episode in zip(ran, batch.split(), strict=True))


@pytest.mark.parametrize("fault", KINDS)
class TestEpisodes:
    @pytest.mark.parametrize("worker_class", [DefaultWorker, VecWorker, FaultyWorker])
    def test_of_our_workers_are_right(self, fault: str, worker_class: Any) -> None:
        """No views of one array, no lost last observation, no wrong label, no environment without a seed."""
        sampler = make_local(seed=SEED, worker_class=worker_class)
        assert is_right(sampler.obtain_exact_episodes(EPISODES, None), fault)

    def test_of_a_faulty_worker_are_noticed(self, fault: str) -> None:
        """The check fails for a worker with the fault."""
        sampler = make_local(seed=SEED, worker_class=FaultyWorker, worker_args={"fault": fault})
        assert not is_right(sampler.obtain_exact_episodes(EPISODES, None), fault)


def test_episodes_of_worker_processes_are_right() -> None:
    """What comes through shared memory has none of these faults."""
    sampler = MultiprocessingSampler(make_factory(seed=SEED, n_workers=2), Gaussian(), Walk())
    batch = sampler.obtain_exact_episodes(EPISODES // 2, None)
    assert [fault for fault in KINDS if not is_right(batch, fault)] == []
    sampler.shutdown_worker()


class TestSeeds:
    @staticmethod
    def are_apart(**choices: Any) -> bool:
        """Whether runs, calls and streams whose numbers are neighbours begin no two episodes alike."""
        starts: list[bytes] = []
        for seed in (1, 2, 3):
            for stream in (rlx_sampler.TRAINING, EVALUATION):
                sampler = LocalSampler(make_factory(seed=seed, **choices), Gaussian(), Walk(), stream=stream)
                for _ in range(3):
                    batch = sampler.obtain_exact_episodes(20, None)
                    starts += [episode.observations[0].tobytes() for episode in batch.split()]
        return len(set(starts)) == len(starts)

    def test_do_not_overlap(self) -> None:
        """No episode of one seed, call or stream comes again in another."""
        assert self.are_apart()

    def test_that_overlap_are_noticed(self) -> None:
        """The check fails where seeds are counted up."""
        assert not self.are_apart(worker_class=FaultyWorker, worker_args={"fault": "one stream for all"})

    def test_of_the_environment_reach_every_episode(self) -> None:
        """Two samplers of one seed agree, whatever the environments did before they came here."""
        used = Walk()
        used.reset(seed=99)
        digests = {make_local(env=env).obtain_samples(0, 60, None).digest() for env in (Walk(), used)}
        assert len(digests) == 1


def share_is_even(batches: Iterable[Iterable[int]]) -> bool:
    """Whether the long episodes' share over many batches is one half, within 4 standard deviations."""
    lengths = [length for batch in batches for length in batch]
    share = float(np.mean([length > SHORT for length in lengths]))
    return abs(share - 0.5) < 4 * math.sqrt(0.25 / len(lengths))


class TestShortEpisodes:
    @pytest.mark.parametrize(
        ("n_workers", "long"),
        [(4, 100), *(pytest.param(n, 1000, marks=pytest.mark.slow) for n in (1, 2, 3, 8))],
    )
    def test_are_not_preferred(self, n_workers: int, long: int) -> None:
        """With batches of a few episodes, and workers that finish short ones first, both are as frequent."""
        factory = make_factory(seed=3, longest=long, n_workers=n_workers, worker_args={"n_envs": 4})
        sampler = MultiprocessingSampler(factory, Still(), Coin(long))
        assert share_is_even(sampler.obtain_samples(0, 4 * long, None).lengths for _ in range(BATCHES))
        sampler.shutdown_worker()

    def test_that_are_preferred_are_noticed(self) -> None:
        """The check fails where eight workers stop together at the budget."""
        rng = np.random.default_rng(3)
        lengths = [np.where(rng.random(2000) < 0.5, 1000, SHORT) for _ in range(BATCHES)]
        assert not share_is_even(stop_at_budget(each, 8, 4000) for each in lengths)

    def test_are_noticed_at_the_share_that_was_seen(self) -> None:
        """The check fails for a share of 0.34 in as many episodes, and passes for one half."""
        n_episodes = 8 * BATCHES
        for share, is_even in ((0.34, False), (0.5, True)):
            n_long = round(share * n_episodes)
            assert share_is_even([[1000] * n_long + [SHORT] * (n_episodes - n_long)]) is is_even


CONSTANT = (int, float, str, bytes, bool, type(None))


def defaults_are_constant(function: Callable[..., Any]) -> bool:
    """Whether every default is a plain constant: nothing that was worked out when the module was imported."""
    try:
        defaults = [each.default for each in inspect.signature(function).parameters.values()]
    except ValueError:  # it has none of its own
        return True
    return all(
        default is inspect.Parameter.empty
        or isinstance(default, CONSTANT)
        or "factory" in str(default)  # of a dataclass: worked out when it is called
        for default in defaults
    )


def evaluated_at_import(n_workers: list[int] = [2]) -> None:  # noqa: B006 - this is the fault
    """Has a default that all callers share."""


class TestDefaults:
    @pytest.mark.parametrize("name", rlx_sampler.__all__)
    def test_are_not_worked_out_at_import(self, name: str) -> None:
        """No public class, method or function has a default that importing the package fixed."""
        public: Any = getattr(rlx_sampler, name)
        if callable(public):
            members = [member for _, member in inspect.getmembers(public, inspect.isfunction)]
            assert all(map(defaults_are_constant, [public, *members]))

    def test_that_are_would_be_noticed(self) -> None:
        """The check fails for a list."""
        assert not defaults_are_constant(evaluated_at_import)


def test_every_fault_has_a_check() -> None:
    """The faulty worker has no fault that nothing looks for."""
    assert {*KINDS, "one stream for all"} == set(FAULTS)
