"""What the engine costs beside the steps: parameters for the workers, a killed worker, a vector environment.

Usage: python bench_engine.py
"""

import json
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium
from _peers import N_ENVS, gymnasium_sync
from _tasks import MAX_LENGTH, N_ENVIRONMENTS, Cost, Net, best, make, once

from rlx_sampler import LocalSampler, MultiprocessingSampler, VecWorker, WorkerFactory

BATCH = 4000
ROUNDS = 12


class Trainable(Net):
    """A policy whose parameters travel."""

    def get_param_values(self) -> dict[str, Any]:
        """Return the parameters."""
        return {name: value.detach() for name, value in self.net.state_dict().items()}

    def set_param_values(self, values: dict[str, Any]) -> None:
        """Take parameters."""
        self.net.load_state_dict(values)


def factory(n_workers: int) -> WorkerFactory:
    """Return what builds the workers."""
    return WorkerFactory(
        max_episode_length=MAX_LENGTH,
        seed=1,
        n_workers=n_workers,
        worker_class=VecWorker,
        worker_args={"n_envs": N_ENVIRONMENTS},
    )


def broadcast(n_workers: int) -> float:
    """Return the milliseconds that new parameters take in the sampler's process, the median of many."""
    policy = Trainable("CartPole-v1")
    sampler = MultiprocessingSampler(factory(n_workers), policy, make("CartPole-v1"))
    sampler.obtain_samples(0, 10, policy.get_param_values())
    values, times = policy.get_param_values(), list[float]()
    for _ in range(300):
        begin = time.perf_counter()
        sampler._update(values, None)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # a part of obtain_samples
        times.append(1e3 * (time.perf_counter() - begin))
    sampler.shutdown_worker()
    return statistics.median(times)


def recovery() -> float:
    """Return the seconds by which killing one of two workers before a batch delays it, the median of some."""
    sampler = MultiprocessingSampler(factory(2), Net("CartPole-v1"), make("CartPole-v1"))
    delays: list[float] = []
    for _ in range(6):
        usual = min(_seconds(lambda: sampler.obtain_samples(0, BATCH, None)) for _ in range(3))
        os.kill(sampler.pids[0], signal.SIGKILL)
        delays.append(_seconds(lambda: sampler.obtain_samples(0, BATCH, None)) - usual)
        sampler.obtain_samples(0, BATCH, None)
    sampler.shutdown_worker()
    return statistics.median(delays)


def _seconds(function: Callable[[], object]) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def vectors(task: str) -> gymnasium.vector.SyncVectorEnv:
    """Return a vector environment that leaves resets to the sampler."""
    mode = gymnasium.vector.AutoresetMode.DISABLED
    return gymnasium.vector.SyncVectorEnv([lambda: make(task)] * N_ENVS, autoreset_mode=mode)


def vector_share(task: str) -> float:
    """Return the speed of a sampler on a vector environment, as a share of the bare loop with its policy."""
    sampler = LocalSampler(factory(1), Net(task), lambda: vectors(task))

    def sample() -> int:
        return int(sampler.obtain_samples(0, BATCH, None).n_steps)

    pairs: list[tuple[Cost, Cost]] = []
    for loop in gymnasium_sync(task, BATCH):
        pairs += [(once(sample), once(loop)) for _ in range(ROUNDS)]
    sampler.shutdown_worker()
    return best([pair[1] for pair in pairs]).wall / best([pair[0] for pair in pairs]).wall


def main() -> None:
    """Print one line of JSON a figure."""
    for n_workers in (1, 2, 4):
        print(json.dumps({"broadcast ms": round(broadcast(n_workers), 4), "workers": n_workers}), flush=True)
    print(json.dumps({"killed worker, s": round(recovery(), 3)}), flush=True)
    for task in ("CartPole-v1", "Hopper-v5"):
        print(json.dumps({"vector environment": task, "share": round(vector_share(task), 2)}), flush=True)


if __name__ == "__main__":
    main()
