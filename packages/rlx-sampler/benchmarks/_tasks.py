"""What all samplers are given: the environments, one policy, and a clock."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import psutil  # type: ignore[import-untyped]  # it ships no type information
import torch

from rlx_sampler import sample_categorical, sample_gaussian

MAX_LENGTH = 1000
N_ENVIRONMENTS = 64
"""Of each of our workers."""
FEEDBACK = np.array([1.0, 2.0, 20.0, 5.0], np.float32)
"""What keeps CartPole's pole up, as weights of its observation."""


class Net:
    """A stochastic policy: two layers of 64, untrained, or with a feedback that balances CartPole."""

    def __init__(self, task: str, *, balances: bool = False) -> None:
        self.balances = balances
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
        if self.balances:
            push = np.asarray(observations) @ FEEDBACK
            out = np.stack((-push, push), axis=1) + 0.01 * out
        if self.is_discrete:
            return sample_categorical(out, rngs), {"logits": out}
        return np.clip(sample_gaussian(out, 0.6, rngs), -1, 1), {"mean": out}


def make(task: str) -> Any:
    """Return an environment."""
    return gymnasium.make(task, disable_env_checker=True)


def bare(task: str, batch: int) -> Callable[[], int]:
    """Step one environment with actions drawn beforehand."""
    env = make(task)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(batch)]

    def sample() -> int:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return batch

    return sample


class Cost(NamedTuple):
    """Microseconds a step."""

    cpu: float
    wall: float


def cpu_nanoseconds() -> int:
    """Return the CPU time of this process and its children so far."""
    me = psutil.Process()
    numbers = [process.pid for process in (me, *me.children(recursive=True))]
    files = [file for number in numbers for file in Path(f"/proc/{number}/task").glob("*/schedstat")]
    return sum(int(file.read_text().split()[0]) for file in files)


def once(sample: Callable[[], int]) -> Cost:
    """Return what one batch costs."""
    cpu, wall = cpu_nanoseconds(), time.perf_counter_ns()
    n_steps = sample()
    after = time.perf_counter_ns()
    return Cost((cpu_nanoseconds() - cpu) / n_steps / 1e3, (after - wall) / n_steps / 1e3)


def best(costs: list[Cost]) -> Cost:
    """Return the least of each: what disturbs a measurement only ever adds to it."""
    return Cost(min(cost.cpu for cost in costs), min(cost.wall for cost in costs))
