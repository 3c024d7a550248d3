"""Parts that the runner's tests share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_protocols import TrainingLoop
from rlx_protocols.testing import CountedBatch, CountingEnv, CountingSampler, MemoryLogger, SteadyPolicy
from rlx_runner import LocalRunner, set_seed
from rlx_snapshot import SnapshotConfig


class Averaging:
    """Sums mean rewards and draws from NumPy's global generator, so that a wrong resume shows."""

    max_episode_length = 5

    def __init__(self, result: Any = None, on_epoch: Callable[[int], object] | None = None) -> None:
        self.policy = SteadyPolicy()
        self.total = 0.0
        self.result = result
        self.on_epoch = on_epoch

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "on_epoch": None}

    def train(self, loop: TrainingLoop[CountedBatch], /) -> Any:
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(loop.step_itr)
            loop.step_episode = batch
            self.total += float(np.mean(batch.rewards)) + float(np.random.random())
            loop.log({"Total": self.total})
            loop.step_itr += 1
            if self.on_epoch is not None:
                self.on_epoch(epoch)
        return self.result


class Run:
    """A runner with its folder and its logger."""

    def __init__(self, folder: Path, logger: MemoryLogger, mode: str = "all", **options: Any) -> None:
        self.logger = logger
        options = {"progress": False} | options
        self.runner = LocalRunner(SnapshotConfig(str(folder), mode, 1), logger=logger, **options)

    def setup(self, algo: Any = None, **options: Any) -> LocalRunner:
        """Set up a small algorithm with a counting sampler."""
        algo = Averaging() if algo is None else algo
        arguments: dict[str, Any] = {"sampler_cls": CountingSampler, "n_workers": 1} | options
        self.runner.setup(algo, CountingEnv(), **arguments)
        return self.runner


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """Build a run in the test's folder; runs of one test share the logger, as attempts of one run do."""
    logger = MemoryLogger()
    set_seed(3)

    def make(folder: str = "run", mode: str = "all", **options: Any) -> Run:
        return Run(tmp_path / folder, logger, mode, **options)

    return make


@pytest.fixture
def averaging() -> type[Averaging]:
    """Return the small algorithm's class."""
    return Averaging
