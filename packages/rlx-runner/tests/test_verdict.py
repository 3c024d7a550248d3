"""A verdict on exactness that rests on runs: one interrupted, one not, each process with another hash seed."""

import random
from typing import Any

import numpy as np
import pytest

from rlx_protocols.testing import CountingEnv, CountingSampler, SteadyPolicy
from rlx_runner import ExactnessCheckError, check_exactness

pytestmark = pytest.mark.processes


class Drawing:
    """Draws from the global generators, which a resume puts back."""

    max_episode_length = 5

    def __init__(self) -> None:
        self.policy = SteadyPolicy()
        self.threads: list[str] = []
        self.drawn: list[float] = []

    def train(self, loop: Any, /) -> None:
        """Keep what is drawn, and log it."""
        for epoch in loop.step_epochs():
            loop.obtain_episodes(epoch)
            self.drawn.append(float(np.random.random()) + self.extra(epoch))
            loop.log({"Drawn": self.drawn[-1]})

    def extra(self, epoch: int) -> float:
        """Add nothing."""
        return 0.0


class Counting(Drawing):
    """Counts in its class, where no snapshot looks."""

    calls = 0

    def extra(self, epoch: int) -> float:
        """Add the number of calls in this process."""
        type(self).calls += 1
        return float(type(self).calls)


class Hashing(Drawing):
    """Keeps what the order of a set decides, under a name that a process has too."""

    def extra(self, epoch: int) -> float:
        """Depend on the process's hash seed."""
        self.threads = list({"left", "right", "up", "down", "fire"})
        return 0.0


class Beginning(Drawing):
    """Begins with what no seed decides."""

    def extra(self, epoch: int) -> float:
        """Draw from the machine's entropy in the first epoch."""
        return float(np.random.default_rng().random()) if epoch == 0 else self.drawn[0]


class Failing(Drawing):
    """Fails by itself."""

    def extra(self, epoch: int) -> float:
        """Raise."""
        raise ArithmeticError("the loss is no number")


def test_exact_run_is_exact() -> None:
    """All parts and values agree, and the caller's objects and generators are as they were."""
    algo, before = Drawing(), random.getstate()
    verdict = check_exactness(algo, CountingEnv(), CountingSampler, batch_size=10)
    assert verdict.exact
    assert verdict.said.startswith("grade A")
    assert str(verdict).startswith(
        f"exact in all of {verdict.compared} parts and logged values; the runner said grade A"
    )
    assert (algo.drawn, random.getstate()) == ([], before)


def test_all_differences_of_an_inexact_run_are_named() -> None:
    """In snapshot and rows, with both values, whatever the runner said."""
    verdict = check_exactness(Counting(), CountingEnv(), CountingSampler, batch_size=10)
    assert not verdict.exact
    told = "\n".join(verdict.differences)
    assert ".algo.drawn[2]: " in told
    assert ".algo.drawn[3]: " in told
    assert "Drawn at info/epoch 3: " in told
    assert ".algo.drawn[1]: " not in told
    assert "not exact in " in str(verdict)


def test_order_of_sets_is_seen_under_any_name() -> None:
    """Each process has another hash seed, and no name excuses a difference."""
    verdict = check_exactness(Hashing(), CountingEnv(), CountingSampler, batch_size=10)
    assert verdict.differences
    assert all(".algo.threads[" in each for each in verdict.differences)


def test_a_run_that_is_another_one_each_time_may_resume_exactly() -> None:
    """What is compared with the run that continues is the run that it continues."""
    algo = Beginning()
    assert check_exactness(algo, CountingEnv(), CountingSampler, batch_size=10).exact
    assert algo.drawn == []


def test_error_of_the_training_is_reported() -> None:
    """What training raises is no verdict, and neither is a run that takes too long."""
    with pytest.raises(ExactnessCheckError, match=r"training failed by itself(.|\n)*the loss is no number"):
        check_exactness(Failing(), CountingEnv(), CountingSampler, batch_size=10)
    with pytest.raises(ExactnessCheckError, match=r"took longer than 0.01 s"):
        check_exactness(Drawing(), CountingEnv(), CountingSampler, batch_size=10, timeout=0.01)
    with pytest.raises(ValueError, match="n_epochs"):
        check_exactness(Drawing(), CountingEnv(), n_epochs=1)
