"""Workers and batches that are wrong in one of the ways that samplers have been wrong."""

import heapq
from typing import Any

import numpy as np
from sampler_worlds import Array, Walk

from rlx_sampler import EpisodeBatch, EpisodeKey, StepType, Worker
from rlx_sampler._policies.row_generators import EpisodeNoise

FAULTS = ("views", "lost end", "all terminal", "all timeout", "unseeded", "one stream for all")


SHORT = 10


class FaultyWorker(Worker):
    """Runs episodes in the plainest way, with the one `fault` that it is given."""

    def __init__(self, *, fault: str = "", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.fault = fault
        self.policy: Any = None
        self.env: Any = None
        self.batch: Any = None

    def update_agent(self, agent_update: Any) -> None:
        self.policy = self.policy if agent_update is None else agent_update

    def update_env(self, env_update: Any) -> None:
        self.env = self.env if env_update is None else env_update

    def start_episode(self) -> None:
        key = self.next_key()
        if self.fault == "one stream for all":
            key = EpisodeKey(key.root + key.call, 0, 0, key.episode)  # as where seeds are counted up
        self.batch = self.run_episode(key)

    def keep(self, observation: Array) -> Array:
        return observation if self.fault == "views" else observation.copy()

    def run_episode(self, key: EpisodeKey) -> EpisodeBatch:
        streams, noise = key.streams(), EpisodeNoise(1)
        noise.begin(0, key)
        observation, _ = self.env.reset(seed=None if self.fault == "unseeded" else streams.env_seed)
        seen, actions, rewards, positions = (
            [self.keep(observation)],
            list[Array](),
            list[float](),
            list[Array](),
        )
        terminated = truncated = False
        while not (terminated or truncated or len(rewards) == self.max_episode_length):
            action, _ = self.policy.get_actions(seen[-1][None], rngs=noise.part(slice(0, 1)))
            noise.advance()
            observation, reward, terminated, truncated, info = self.env.step(action[0])
            seen.append(self.keep(observation))
            actions.append(action[0])
            rewards.append(reward)
            positions.append(info["position"].copy())
        return EpisodeBatch(
            observations=np.array(seen[:-1]),
            last_observations=np.array(seen[-2:-1] if self.fault == "lost end" else seen[-1:]),
            actions=np.array(actions),
            rewards=np.array(rewards),
            step_types=self.label(len(rewards), terminated),
            lengths=np.array([len(rewards)]),
            env_infos={"position": np.array(positions)},
        )

    def label(self, length: int, terminated: bool) -> Array:
        types = [StepType.FIRST, *[StepType.MID] * (length - 1)]
        types[-1] = StepType.TERMINAL if terminated else StepType.TIMEOUT
        if self.fault in ("all terminal", "all timeout"):
            types[-1] = StepType[self.fault.removeprefix("all ").upper()]
        return np.array(types)

    def step_episode(self) -> bool:
        return True

    def collect_episode(self) -> EpisodeBatch:
        batch: EpisodeBatch = self.batch
        return batch

    def shutdown(self) -> None:
        self.env.close()


class Coin(Walk):
    """Episodes of `SHORT` or `long` steps at even odds."""

    def __init__(self, long: int) -> None:
        super().__init__()
        self.long = long
        self.end = 0

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        self.end = self.long if np.random.default_rng(seed).random() < 0.5 else SHORT
        return np.zeros(1, np.float32), {}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self.end -= 1
        return np.zeros(1, np.float32), 0.0, self.end == 0, False, {}


class Still:
    """A policy that does nothing, quickly."""

    def get_actions(self, observations: Any, *, rngs: Any) -> tuple[Array, dict[str, Any]]:
        return np.zeros(len(rngs), int), {}


def stop_at_budget(lengths: Array, n_workers: int, budget: int) -> list[int]:
    """Return the lengths in a batch of workers that all stop when there are `budget` steps.

    Workers run equally fast, take the next length when they are done, and drop what is
    under way at the end.
    """
    ahead = iter(lengths)
    under_way = [(length, worker, length) for worker, length in zip(range(n_workers), ahead, strict=False)]
    heapq.heapify(under_way)
    collected: list[int] = []
    while sum(collected) < budget:
        time, worker, length = heapq.heappop(under_way)
        collected.append(int(length))
        following = next(ahead)
        heapq.heappush(under_way, (time + following, worker, following))
    return collected
