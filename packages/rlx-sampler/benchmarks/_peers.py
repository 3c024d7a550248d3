"""Other ways to sample, given less to do: most drop what they see, none seeds by episode or survives a kill."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from typing import Any

import gymnasium
import numpy as np
from _tasks import MAX_LENGTH, Net, make

N_ENVS = 16


def stepping(task: str, batch: int, envs: Any, observations: Any, n_envs: int) -> Callable[[], int]:
    """Return what takes a batch of steps in a vector environment that was reset, and drops what it sees."""
    policy, rngs = Net(task), [np.random.default_rng(i) for i in range(n_envs)]

    def sample() -> int:
        nonlocal observations
        for _ in range(batch // n_envs):
            actions, _ = policy.get_actions(observations, rngs=rngs)
            observations, *_ = envs.step(actions)
        return batch // n_envs * n_envs

    return sample


def vector_env(kind: Any, task: str, batch: int) -> Iterator[Callable[[], int]]:
    """Step gymnasium's vector environments and keep the arrays."""
    with closing(kind([lambda: make(task)] * N_ENVS)) as envs:
        observations, _ = envs.reset(seed=0)
        yield stepping(task, batch, envs, observations, N_ENVS)


def gymnasium_sync(task: str, batch: int) -> Iterator[Callable[[], int]]:
    """Step 16 environments in this process."""
    return vector_env(gymnasium.vector.SyncVectorEnv, task, batch)


def gymnasium_async(task: str, batch: int) -> Iterator[Callable[[], int]]:
    """Step 16 environments in a process each."""
    return vector_env(gymnasium.vector.AsyncVectorEnv, task, batch)


def sb3(kind: str, n_envs: int, task: str, batch: int) -> Iterator[Callable[[], int]]:
    """Step the vector environments of Stable-Baselines3; episodes are neither cut out nor kept."""
    vec_env: Any = import_module("stable_baselines3.common.vec_env")
    with closing(getattr(vec_env, kind)([lambda: make(task)] * n_envs)) as envs:
        yield stepping(task, batch, envs, envs.reset(), n_envs)


def tianshou(task: str, batch: int) -> Iterator[Callable[[], int]]:
    """Fill the replay buffer of tianshou's Collector from 16 environments in this process."""
    base: Any = import_module("tianshou.algorithm.algorithm_base")
    data: Any = import_module("tianshou.data")
    env: Any = import_module("tianshou.env")
    net, rngs = Net(task), [np.random.default_rng(i) for i in range(N_ENVS)]

    class Adapter(base.Policy):  # type: ignore[misc]  # tianshou is not there when types are checked
        def forward(self, batch: Any, state: Any = None, **_: Any) -> Any:
            actions, _infos = net.get_actions(batch.obs, rngs=rngs[: len(batch.obs)])
            return data.Batch(act=actions, state=state)

    envs = env.DummyVectorEnv([lambda: make(task)] * N_ENVS)
    policy: Any = Adapter(action_space=envs.action_space[0])
    collector = data.Collector(policy, envs, data.VectorReplayBuffer(2 * batch, N_ENVS))
    collector.reset()
    yield lambda: int(collector.collect(n_step=batch).n_collected_steps)


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


def queues(task: str, batch: int, n_workers: int = 2) -> Iterator[Callable[[], int]]:
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
        while n_steps < batch:
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
