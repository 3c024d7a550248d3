"""What a call that failed or was interrupted leaves behind in the pipes, and what the next one makes of it."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from sampler_worlds import Gaussian, Odd, Walk, make_factory, make_local

from rlx_sampler import MultiprocessingSampler
from rlx_sampler._keys import CallKey
from rlx_sampler._processes.messages import Kind, receive
from rlx_sampler._processes.pool import ProcessPool
from rlx_sampler._processes.process import WorkerProcess

SECONDS = 30.0


class Heavy(Walk):
    """A walk with a long word in every info: its episodes do not fit into a pipe."""

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, {"word": str(self._left) * 1_000_000}


class LargeGaussian(Gaussian):
    """A policy that does not fit into a pipe."""

    def __init__(self, gain: float = -0.1) -> None:
        super().__init__(gain)
        self.ballast = np.ones(1_000_000)


def pool_of(fields: dict[str, Any]) -> ProcessPool:
    """Return the worker processes of the sampler with these fields."""
    return vars(fields["_engine"])["_pool"]  # type: ignore[no-any-return]


@contextmanager
def interrupted(env: Any) -> Generator[tuple[MultiprocessingSampler, WorkerProcess]]:
    """Give a sampler whose first call was left while its worker was handing over an episode."""
    factory = make_factory(worker_args={"n_envs": 1})
    sampler = MultiprocessingSampler(factory, Gaussian(), env, worker_timeout=SECONDS)
    try:
        pool = pool_of(vars(sampler))
        (process,) = pool.workers
        process.submit(pool.round_number, CallKey(7, 0, 0), [0])
        assert receive(process.connection)[0] is Kind.MORE
        assert process.connection.poll(SECONDS)  # the episode is there, or as much of it as fits
        process.send_numbers(Kind.STOP)
        yield sampler, process
    finally:
        sampler.shutdown_worker()


@pytest.mark.processes
class TestAfterAnInterruptedCall:
    def test_nothing_is_taken_of_it(self) -> None:
        """An episode that was finished for the attempt before is of the policy of then."""
        wanted = make_local(env=Odd()).obtain_samples(0, 1, {"gain": np.float32(0.7)})
        with interrupted(Odd()) as (sampler, _):
            assert sampler.obtain_samples(0, 1, {"gain": np.float32(0.7)}).digest() == wanted.digest()

    def test_a_large_policy_does_not_wait_for_a_worker_that_waits(self) -> None:
        """A worker that is still handing over is listened to, while it is sent what it cannot read yet."""
        wanted = make_local(env=Heavy()).obtain_samples(0, 1, Gaussian(0.7))
        with interrupted(Heavy()) as (sampler, process):
            assert sampler.obtain_samples(0, 1, LargeGaussian(0.7)).digest() == wanted.digest()
            assert sampler.pids == [process.pid]

    @pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is for POSIX")
    def test_a_worker_killed_while_it_hands_over_is_replaced(self) -> None:
        """Half a message is the end of a worker, not of the sampler."""
        wanted = make_local(env=Heavy()).obtain_samples(0, 20, None)
        with interrupted(Heavy()) as (sampler, process):
            os.kill(process.pid, signal.SIGKILL)
            assert sampler.obtain_samples(0, 20, None).digest() == wanted.digest()
