"""CPU-seconds a step of several ways to sample, as ratios to the bare ``env.step`` loop.

Usage: python bench_samplers.py [TASK ...]      (default: CartPole-v1 Hopper-v5)

The bare loop steps one environment with actions drawn beforehand, resets included, on one
core. All others run the same torch policy of two layers of 64. CPU-seconds are those of the
process and all its children, so that they mean something on a machine that is not idle.
"""

import itertools
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
import psutil  # type: ignore[import-untyped]  # it ships no type information
import torch

from rlx_sampler import (
    DefaultWorker,
    LocalSampler,
    MultiprocessingSampler,
    VecWorker,
    WorkerFactory,
    sample_categorical,
    sample_gaussian,
)

BATCH = 4000
ROUNDS = 3
MAX_LENGTH = 1000


class Net:
    """A stochastic policy: two layers of 64."""

    def __init__(self, task: str) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]  # partly untyped
        env = make(task)
        self.is_discrete = isinstance(env.action_space, gymnasium.spaces.Discrete)
        n_out = int(env.action_space.n) if self.is_discrete else env.action_space.shape[0]
        sizes = (env.observation_space.shape[0], 64, 64)
        layers = [
            layer for a, b in itertools.pairwise(sizes) for layer in (torch.nn.Linear(a, b), torch.nn.Tanh())
        ]
        self.net = torch.nn.Sequential(*layers, torch.nn.Linear(64, n_out))

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
        """Return actions for a stack of observations."""
        with torch.inference_mode():
            out = self.net(torch.as_tensor(observations, dtype=torch.float32)).numpy()
        if self.is_discrete:
            return sample_categorical(out, rngs), {"logits": out}
        return np.clip(sample_gaussian(out, 0.6, rngs), -1, 1), {"mean": out}


def make(task: str) -> Any:
    """Return an environment."""
    return gymnasium.make(task, disable_env_checker=True)


def bare(task: str) -> Callable[[], int]:
    """Step one environment with actions drawn beforehand."""
    env = make(task)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(BATCH)]

    def sample() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return BATCH

    return sample


def vector_env(kind: Any, task: str, n_envs: int = 16) -> Iterator[Callable[[], int]]:
    """Step gymnasium's vector environments and keep the arrays."""
    policy, rngs = Net(task), [np.random.default_rng(i) for i in range(n_envs)]
    with closing(kind([lambda: make(task)] * n_envs)) as envs:
        observations, _ = envs.reset(seed=0)

        def sample() -> int:
            nonlocal observations
            for _ in range(BATCH // n_envs):
                actions, _ = policy.get_actions(observations, rngs=rngs)
                observations, *_ = envs.step(actions)
            return BATCH // n_envs * n_envs

        yield sample


def rlx(sampler_cls: Any, task: str, worker_class: Any, n_workers: int) -> Iterator[Callable[[], int]]:
    """Sample with this package."""
    factory = WorkerFactory(
        max_episode_length=MAX_LENGTH, seed=1, n_workers=n_workers, worker_class=worker_class
    )
    sampler = sampler_cls(factory, Net(task), make(task))
    yield lambda: sampler.obtain_samples(0, BATCH, None).n_steps
    sampler.shutdown_worker()


def _queue_worker(task: str, jobs: Any, results: Any) -> None:
    env, policy, rng = make(task), Net(task), np.random.default_rng()
    while jobs.get():
        observation, _ = env.reset()
        steps: list[Any] = []
        for _ in range(MAX_LENGTH):
            action, _ = policy.get_actions(observation[None], rngs=[rng])
            after, reward, terminated, truncated, info = env.step(action[0])
            steps.append((observation, action[0], reward, info))
            observation = after
            if terminated or truncated:
                break
        results.put(steps)


def queues(task: str, n_workers: int = 2) -> Iterator[Callable[[], int]]:
    """Sample as garage does: an episode a job, one row a call, everything pickled through queues."""
    context = multiprocessing.get_context("fork")
    jobs, results = context.Queue(), context.Queue()
    workers = [
        context.Process(target=_queue_worker, args=(task, jobs, results), daemon=True)
        for _ in range(n_workers)
    ]
    for worker in workers:
        worker.start()

    def sample() -> int:
        n_steps = 0
        for _ in workers:
            jobs.put(True)
        while n_steps < BATCH:
            n_steps += len(results.get())
            jobs.put(True)
        for _ in workers:
            n_steps += len(results.get())
        return n_steps

    yield sample
    for _ in workers:
        jobs.put(False)
    for worker in workers:
        worker.join()


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children so far."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def measure(sample: Callable[[], int]) -> tuple[float, float]:
    """Return CPU and wall seconds a step: the best of some rounds, after one to warm up."""
    sample()
    found: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        cpu, wall, n_steps = cpu_seconds(), time.perf_counter(), 0
        while time.perf_counter() - wall < 1.0:
            n_steps += sample()
        found.append(((cpu_seconds() - cpu) / n_steps, (time.perf_counter() - wall) / n_steps))
    return min(found)


def main(tasks: list[str]) -> None:
    """Print one line of JSON a way and task."""
    for task in tasks:
        base = measure(bare(task))
        print(json.dumps({"task": task, "name": "env.step", "us": round(1e6 * base[0], 1)}), flush=True)
        ways = {
            "LocalSampler, DefaultWorker": rlx(LocalSampler, task, DefaultWorker, 1),
            "LocalSampler, VecWorker": rlx(LocalSampler, task, VecWorker, 1),
            "MultiprocessingSampler, 2 workers": rlx(MultiprocessingSampler, task, VecWorker, 2),
            "gymnasium SyncVectorEnv": vector_env(gymnasium.vector.SyncVectorEnv, task),
            "gymnasium AsyncVectorEnv": vector_env(gymnasium.vector.AsyncVectorEnv, task),
            "queues, 2 workers": queues(task),
        }
        for name, way in ways.items():
            for sample in way:
                cpu, wall = measure(sample)
                row = {"cpu ratio": round(cpu / base[0], 2), "wall ratio": round(wall / base[1], 2)}
                print(json.dumps({"task": task, "name": name, **row}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["CartPole-v1", "Hopper-v5"])
