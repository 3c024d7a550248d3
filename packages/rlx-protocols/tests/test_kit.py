"""The conformance kit passes what keeps the contract and fails what breaks one rule of it."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from rlx_protocols import TrainingLoop
from rlx_protocols.testing import (
    ConformanceError,
    CountedBatch,
    CountingEnv,
    CountingSampler,
    MemoryLogger,
    MemorySnapshotStore,
    check_algorithm,
    check_logger,
    check_logger_state,
    check_sampler,
    check_sampler_state,
    check_snapshot_store,
)


class StaleSampler(CountingSampler):
    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> CountedBatch:
        self.episode_length = self.episode_length if env_update is None else env_update.length
        return super().obtain_samples(itr, num_samples, agent_update)


class ShortSampler(CountingSampler):
    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> CountedBatch:
        return super().obtain_samples(itr, num_samples // 2, agent_update)


class MoodySampler(CountingSampler):
    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> CountedBatch:
        batch = super().obtain_samples(itr, num_samples, agent_update)
        return CountedBatch(batch.n_episodes, batch.episode_length, random.random())


class CarelessSampler(CountingSampler):
    def obtain_samples(
        self, itr: int, num_samples: int, agent_update: Any, env_update: Any = None
    ) -> CountedBatch:
        return super().obtain_samples(itr, num_samples, None)


class ForgetfulSampler(CountingSampler):
    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self.calls = 0


class OneShotSampler(CountingSampler):
    def shutdown_worker(self) -> None:
        if self.shutdowns:
            raise RuntimeError("already shut down")
        super().shutdown_worker()


class TestSamplerChecks:
    def test_passes_the_counting_sampler(self) -> None:
        """A sampler that keeps every rule raises nothing."""
        check_sampler(CountingSampler)
        check_sampler_state(CountingSampler)

    @pytest.mark.parametrize(
        ("sampler", "rule"),
        [
            (ShortSampler, "at least the 23 steps"),
            (MoodySampler, "equal seeds and calls"),
            (CarelessSampler, "3 agent updates for 2 workers"),
        ],
    )
    def test_fails_a_broken_rule(self, sampler: type[CountingSampler], rule: str) -> None:
        """Each broken rule is named in the error."""
        with pytest.raises(ConformanceError, match=rule):
            check_sampler(sampler)

    def test_lets_an_error_of_the_sampler_through(self) -> None:
        """A second shutdown that raises is seen as what it is."""
        with pytest.raises(RuntimeError, match="already shut down"):
            check_sampler(OneShotSampler)

    def test_fails_a_state_that_is_not_restored(self) -> None:
        """A sampler that starts over after load_state_dict is found out."""
        with pytest.raises(ConformanceError, match="unbroken run's"):
            check_sampler_state(ForgetfulSampler)

    def test_fails_a_state_without_the_updated_environment(self) -> None:
        """A sampler that goes back to its first environment is found out."""
        with pytest.raises(ConformanceError, match="also after an env_update"):
            check_sampler_state(StaleSampler)


class SloppyLogger(MemoryLogger):
    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        self.rows.append((step_type, step, data))


class GreedyLogger(MemoryLogger):
    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        super().write(step_type, step, data)
        data.clear()


class DoublingLogger(MemoryLogger):
    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        pass


class TestLoggerChecks:
    def test_passes_the_memory_logger(self) -> None:
        """A logger that keeps every rule raises nothing."""
        logger = MemoryLogger()
        check_logger(MemoryLogger)
        check_logger_state(lambda: logger, lambda: [(step, data) for _, step, data in logger.rows])

    @pytest.mark.parametrize(
        ("logger", "rule"),
        [(SloppyLogger, "must be a ValueError"), (GreedyLogger, "leave its data as it was")],
    )
    def test_fails_a_broken_rule(self, logger: type[MemoryLogger], rule: str) -> None:
        """Each broken rule is named in the error."""
        with pytest.raises(ConformanceError, match=rule):
            check_logger(logger)

    def test_fails_rows_that_stay_after_a_cut(self) -> None:
        """A logger that only appends doubles rows after a resume and is found out."""
        logger = DoublingLogger()
        with pytest.raises(ConformanceError, match="after a cut"):
            check_logger_state(lambda: logger, lambda: [(step, data) for _, step, data in logger.rows])


class AliasingStore(MemorySnapshotStore):
    def save_itr_params(self, itr: int, params: Any) -> None:
        self.states[itr] = params


class TextSortingStore(MemorySnapshotStore):
    def load(self, load_dir: str, itr: int | str = "last") -> Any:
        newest = int(max(map(str, self.states))) if itr == "last" and self.states else itr
        return super().load(load_dir, newest)


class TestStoreChecks:
    def test_passes_the_memory_store(self) -> None:
        """A store that keeps every rule raises nothing."""
        check_snapshot_store(lambda: (MemorySnapshotStore(), "memory"))

    @pytest.mark.parametrize("store", [AliasingStore, TextSortingStore])
    def test_fails_a_broken_rule(self, store: type[MemorySnapshotStore]) -> None:
        """A store that keeps references, or sorts iterations as text, is found out."""
        with pytest.raises(ConformanceError, match="must give iteration 11"):
            check_snapshot_store(lambda: (store(), "memory"))


class Averaging:
    """An algorithm that averages rewards."""

    def __init__(self) -> None:
        self.mean = 0.0

    def train(self, loop: TrainingLoop[CountedBatch], /) -> float:
        for epoch in loop.step_epochs():
            self.mean = float(np.mean(loop.obtain_episodes(epoch).rewards))
            loop.log({"mean": self.metric()})
        return self.mean

    def metric(self) -> object:
        return self.mean


class WordyAlgorithm(Averaging):
    def metric(self) -> object:
        return "high"


class HastyAlgorithm(Averaging):
    def train(self, loop: TrainingLoop[CountedBatch], /) -> float:
        epochs: Iterator[int] = loop.step_epochs()
        next(epochs)
        return 0.0


class UnpicklableAlgorithm(Averaging):
    def __init__(self) -> None:
        super().__init__()
        self.callback = lambda: None


class TestAlgorithmChecks:
    def test_passes_an_algorithm_that_keeps_the_contract(self) -> None:
        """An algorithm that keeps every rule raises nothing."""
        check_algorithm(Averaging, lambda: CountingSampler(5))

    @pytest.mark.parametrize(
        ("algorithm", "rule"),
        [
            (WordyAlgorithm, "'mean' must be a real number"),
            (HastyAlgorithm, "step_epochs to its end"),
            (UnpicklableAlgorithm, "must pickle between epochs"),
        ],
    )
    def test_fails_a_broken_rule(self, algorithm: type[Averaging], rule: str) -> None:
        """Each broken rule is named in the error."""
        with pytest.raises(ConformanceError, match=rule):
            check_algorithm(algorithm, lambda: CountingSampler(5))


class TestCountingEnv:
    def test_equal_seeds_give_equal_observations(self) -> None:
        """The environment is a function of its seed."""
        env = CountingEnv()
        assert np.array_equal(env.reset(seed=3)[0], env.reset(seed=3)[0])

    def test_ends_after_its_length(self) -> None:
        """The last of the steps is terminal."""
        env = CountingEnv(length=2)
        env.reset(seed=0)
        assert [env.step(0.0)[2] for _ in range(2)] == [False, True]
