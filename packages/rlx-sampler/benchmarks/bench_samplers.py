"""CPU and wall time a step of several ways to sample, as ratios to the bare ``env.step`` loop.

Usage: python bench_samplers.py [--peers] [--batch 4000] [--balances] [TASK ...]

The bare loop steps one environment with actions drawn beforehand, resets included, on one
core. All others run the same torch policy of two layers of 64, untrained unless it is to
balance. Every way takes one batch in turn, many times over; the least cost of each counts.
Linux only: CPU time is read to the nanosecond from /proc, of the process and its children.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import _peers
from _tasks import MAX_LENGTH, N_ENVIRONMENTS, Cost, Net, bare, best, make, once

from rlx_sampler import DefaultWorker, LocalSampler, MultiprocessingSampler, VecWorker, WorkerFactory

ROUNDS = 20


def rlx(
    sampler_cls: Any, worker_class: Any, n_workers: int, balances: bool, task: str, batch: int
) -> Iterator[Callable[[], int]]:
    """Sample with this package."""
    factory = WorkerFactory(
        max_episode_length=MAX_LENGTH,
        seed=1,
        n_workers=n_workers,
        worker_class=worker_class,
        worker_args={"n_envs": N_ENVIRONMENTS} if worker_class is VecWorker else {},
    )
    sampler = sampler_cls(factory, Net(task, balances=balances), make(task))
    yield lambda: sampler.obtain_samples(0, batch, None).n_steps
    sampler.shutdown_worker()


def ways(balances: bool) -> dict[str, Callable[[str, int], Iterator[Callable[[], int]]]]:
    """Return this package's samplers by name."""
    return {
        "LocalSampler, DefaultWorker": partial(rlx, LocalSampler, DefaultWorker, 1, balances),
        "LocalSampler, VecWorker": partial(rlx, LocalSampler, VecWorker, 1, balances),
        "MultiprocessingSampler, 2 workers": partial(rlx, MultiprocessingSampler, VecWorker, 2, balances),
    }


OTHERS: dict[str, Callable[[str, int], Iterator[Callable[[], int]]]] = {
    "gymnasium SyncVectorEnv (16)": _peers.gymnasium_sync,
    "gymnasium AsyncVectorEnv (16)": _peers.gymnasium_async,
    "SB3 DummyVecEnv (16)": partial(_peers.sb3, "DummyVecEnv", 16),
    "SB3 SubprocVecEnv (2)": partial(_peers.sb3, "SubprocVecEnv", 2),
    "tianshou Collector (16)": _peers.tianshou,
    "queues, 2 workers": _peers.queues,
}


def measure(way: Iterator[Callable[[], int]], base: Callable[[], int], rounds: int) -> tuple[Cost, Cost]:
    """Return the cost of a way, and of the bare loop in turn with it."""
    sample = next(way)
    for _ in range(2):
        sample()  # the second knows how long episodes are
    pairs = [(once(sample), once(base)) for _ in range(rounds)]
    next(way, None)
    return best([pair[0] for pair in pairs]), best([pair[1] for pair in pairs])


def main() -> None:
    """Print one line of JSON a way and task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks", nargs="*", default=["CartPole-v1", "Hopper-v5"])
    parser.add_argument("--batch", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--balances", action="store_true")
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    for task in options.tasks:
        base = bare(task, options.batch)
        for name, way in (ways(options.balances) | (OTHERS if options.peers else {})).items():
            cost, raw = measure(way(task, options.batch), base, options.rounds)
            row = {"cpu": cost.cpu / raw.cpu, "speed": raw.wall / cost.wall, "raw us": raw.cpu}
            rounded = {key: round(value, 2) for key, value in row.items()}
            print(json.dumps({"task": task, "batch": options.batch, "name": name, **rounded}), flush=True)


if __name__ == "__main__":
    main()
