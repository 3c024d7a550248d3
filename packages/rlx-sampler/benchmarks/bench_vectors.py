"""CPU time a step of vectorised CartPole, 16 to 4,096 lanes, as a share of the raw loop of the same run.

Usage: python bench_vectors.py [--peers] [--envpool] [--infos] [--lanes 64 1024] [--steps 128] [--rounds 5]

The raw loop is policy, noise and ``env.step`` on the same environment; it records nothing, and
counts the steps in which lanes are only reset. All ways take a batch of `steps` times `lanes`
in turn, and the least cost of each counts. With ``--envpool`` the engine is envpool's CartPole, and raw is
envpool's own loop; with ``--infos`` every step says two things more. With another version of the package first on the
path, the same script measures that one; what it cannot do is left out.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import _vector_peers
import gymnasium
import numpy as np
import torch
from _vector_peers import Way, cart_poles, network

from rlx_sampler import FragmentWorker, LocalSampler, VecWorker, WorkerFactory, sample_categorical

Engine = Callable[[int, int], Any]

LONGEST = 500


class Policy:
    """Two layers of 64, untrained."""

    def __init__(self) -> None:
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]  # partly untyped
        self.net = network()

    def logits(self, observations: Any) -> Any:
        """Return the logits of a stack of observations."""
        with torch.no_grad():
            return self.net(torch.as_tensor(observations, dtype=torch.float32)).numpy()

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Any, dict[str, Any]]:
        """Return actions drawn with the noise of each row."""
        return sample_categorical(self.logits(observations), rngs), {}


class TwoInfos(gymnasium.vector.VectorWrapper):
    """Says two things about every lane at every step."""

    def step(self, actions: Any) -> Any:
        """Take a step."""
        observations, *others, _ = self.env.step(actions)
        return observations, *others, {"x": observations[:, 0].copy(), "lane": np.arange(self.num_envs)}


def gymnasium_cart_poles(n_lanes: int, seed: int) -> Any:
    """Return gymnasium's vector environment, which takes its seed when it is reset."""
    del seed
    return cart_poles(n_lanes)


def two_infos(n_lanes: int, seed: int) -> Any:
    """Return gymnasium's vector environment with two infos a step."""
    del seed
    return TwoInfos(cart_poles(n_lanes))


def envpool_cart_poles(n_lanes: int, seed: int) -> Any:
    """Return envpool's vector environment, which takes its seed when it is built."""
    envpool: Any = import_module("envpool")
    return envpool.make("CartPole-v1", env_type="gymnasium", num_envs=n_lanes, num_threads=1, seed=seed)


def raw(engine: Engine, n_lanes: int, n_steps: int) -> Way:
    """Step the environment with the policy, and record nothing."""
    policy, env, rng = Policy(), engine(n_lanes, 1), np.random.default_rng(0)
    observations, _ = env.reset() if engine is envpool_cart_poles else env.reset(seed=1)

    def sample() -> int:
        nonlocal observations
        for _ in range(n_steps):
            logits = policy.logits(observations)
            chance = np.exp(logits[:, 0] - np.logaddexp(logits[:, 0], logits[:, 1]))
            observations, *_ = env.step((rng.random(n_lanes) > chance).astype(np.int64))
        return n_lanes * n_steps

    return sample


def rlx(worker_class: Any, engine: Engine, n_lanes: int, n_steps: int) -> Way:
    """Sample with this package."""
    args = {"timesteps_per_call": n_steps} if worker_class is FragmentWorker else {}
    factory = WorkerFactory(max_episode_length=LONGEST, seed=1, worker_class=worker_class, worker_args=args)
    takes_seed = engine is envpool_cart_poles
    sampler = LocalSampler(factory, Policy(), partial(engine, n_lanes, *(() if takes_seed else (1,))))
    return lambda: sampler.obtain_samples(0, n_lanes * n_steps, None).n_steps


WAYS: dict[str, Callable[[Engine, int, int], Way]] = {
    "raw": raw,
    "rlx, stretches": partial(rlx, FragmentWorker),
    "rlx, whole episodes": partial(rlx, VecWorker),
}
PEERS: dict[str, Callable[[int, int], Way]] = {
    "Stable-Baselines3 collect_rollouts": _vector_peers.sb3,
    "torchrl Collector": _vector_peers.torchrl,
    "tianshou Collector": _vector_peers.tianshou,
}


def cost(way: Way) -> float:
    """Return the CPU time a step, in microseconds."""
    begin = time.process_time()
    n_steps = way()
    return 1e6 * (time.process_time() - begin) / n_steps


def measure(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Return the least cost of each way, taken in turn; those that fail at first are left out."""
    costs: dict[str, list[float]] = {}
    for name, way in ways.items():
        try:
            way()
        except TypeError as error:  # an older version of the package, which cannot do this
            print(json.dumps({"left out": name, "because": str(error)[:100]}), flush=True)
        else:
            costs[name] = []
    for _ in range(rounds):
        for name, measured in costs.items():
            measured.append(cost(ways[name]))
    return {name: min(measured) for name, measured in costs.items()}


def built(name: str, way: Callable[[int, int], Way], n_lanes: int, n_steps: int) -> Way | None:
    """Return a way, or None where the package refuses it."""
    try:
        return way(n_lanes, n_steps)
    except TypeError as error:
        print(json.dumps({"left out": name, "because": str(error)[:100]}), flush=True)
        return None


def main() -> None:
    """Print one line of JSON for each number of lanes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", type=int, nargs="*", default=[16, 64, 256, 1024, 4096])
    parser.add_argument("--steps", type=int, default=128, help="steps a lane, at least 20,000 in all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--envpool", action="store_true")
    parser.add_argument("--infos", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    told: Engine = two_infos if options.infos else gymnasium_cart_poles
    engine = envpool_cart_poles if options.envpool else told
    for n_lanes in options.lanes:
        n_steps = max(options.steps, -(-20_000 // n_lanes))
        wanted = {name: partial(way, engine) for name, way in WAYS.items()} | (PEERS if options.peers else {})
        ways = {name: built(name, way, n_lanes, n_steps) for name, way in wanted.items()}
        costs = measure({name: way for name, way in ways.items() if way is not None}, options.rounds)
        shares = {name: round(costs["raw"] / each, 2) for name, each in costs.items() if name != "raw"}
        row = {"lanes": n_lanes, "steps": n_steps, "raw us": round(costs["raw"], 2), **shares}
        print(json.dumps({**row, "load": round(os.getloadavg()[0], 1)}), flush=True)


if __name__ == "__main__":
    main()
