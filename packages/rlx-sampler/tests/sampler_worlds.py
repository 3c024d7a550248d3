"""Small environments and policies that show what samplers get wrong."""

import os
import random
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rlx_sampler import EpisodeKey, LocalSampler, StepType, WorkerFactory, sample_gaussian
from rlx_sampler._batches.trees import is_array
from rlx_sampler._policies.row_generators import EpisodeNoise

Array = npt.NDArray[Any]
LONGEST = 12


class Walk:
    """A random walk in 3 dimensions that ends in every way an episode can.

    It gives the same array at every step, changed in place, and so it does with its info
    dict; some infos are there at some steps only.
    """

    def __init__(self, longest: int = 15) -> None:
        self.longest = longest
        self.closed = False
        self._rng = np.random.default_rng(0)
        self._position = np.zeros(3, np.float32)
        self._info: dict[str, Any] = {}
        self._left = 0
        self._truncates = False

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        self._rng = np.random.default_rng(seed)
        self._position[:] = self._rng.standard_normal(3)
        self._left = int(self._rng.integers(1, self.longest + 1))
        self._truncates = bool(self._rng.integers(0, 2))
        self._info.clear()
        return self._position, {"level": self._left % 3}

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        self._position += np.asarray(action, np.float32) + self._rng.standard_normal(3).astype(np.float32)
        self._left -= 1
        ends = self._left == 0
        self._info["position"] = self._position
        self._info["left"] = self._left
        if self._left % 2:
            self._info["odd"] = float(self._left)
        else:
            self._info.pop("odd", None)
        both = self._left == 0 and self.longest % 2 == 0
        terminated, truncated = ends and (not self._truncates or both), ends and self._truncates
        return self._position, float(self._position[0]), terminated, truncated, self._info

    def close(self) -> None:
        self.closed = True


class NestedWalk(Walk):
    """A walk whose observations are a dict with a tuple in it."""

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return self._nest(observation), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return self._nest(observation), reward, terminated, truncated, info

    def _nest(self, observation: Array) -> dict[str, Any]:
        return {"count": self._left, "parts": (observation[:1], observation[1:])}


class Gaussian:
    """A keyed policy of the batched kind; every row is computed by itself."""

    def __init__(self, gain: float = -0.1) -> None:
        self.gain = np.float32(gain)

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        values: Any = observations if is_array(observations) else observations["parts"][1][:, :1]
        mean = self.gain * np.asarray(values, np.float32) * np.ones(3, np.float32)
        return sample_gaussian(mean, np.float32(0.5), rngs), {"mean": mean}

    def get_param_values(self) -> dict[str, Any]:
        return {"gain": np.array(self.gain)}

    def set_param_values(self, values: dict[str, Any]) -> None:
        self.gain = np.float32(values["gain"])


class SingleGaussian:
    """A keyed policy that is asked for one action at a time."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def get_action(self, observation: Array, *, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        return sample_gaussian(-0.1 * observation, 0.5, rng), {"resets": 1.0}


class GlobalGaussian:
    """A policy that draws from global generators, as most do."""

    def get_action(self, observation: Array) -> tuple[Array, dict[str, Any]]:
        noise = np.random.standard_normal(3) + random.gauss(0, 1)
        return -0.1 * observation + noise, {}


class Raising(Walk):
    """A walk that breaks at its third step in some episodes."""

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._left == 5:
            raise ZeroDivisionError("the walk fell into a hole")
        return super().step(action)


class Uncopied(Walk):
    """A walk that holds something no pickle can carry."""

    def __init__(self) -> None:
        super().__init__()
        self.steps_left = (step for step in range(3))


def run_reference(env: Any, policy: Any, key: EpisodeKey, longest: int) -> dict[str, Any]:
    """Run one episode in the plainest way there is."""
    streams, noise = key.streams(), EpisodeNoise(1)
    noise.begin(0, key)
    observation, _ = env.reset(seed=streams.env_seed)
    seen, actions, rewards, positions = [observation.copy()], list[Array](), list[float](), list[Array]()
    while True:
        if isinstance(policy, Gaussian):
            action = policy.get_actions(seen[-1][None], rngs=noise.part(slice(0, 1)))[0][0]
            noise.advance()
        else:
            action, _ = policy.get_action(seen[-1].copy(), rng=streams.rng)
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation.copy())
        actions.append(action)
        rewards.append(reward)
        positions.append(info["position"].copy())
        if terminated or truncated or len(rewards) == longest:
            break
    types = [StepType.FIRST, *[StepType.MID] * (len(rewards) - 1)]
    types[-1] = StepType.TERMINAL if terminated else StepType.TIMEOUT
    return {"seen": seen, "actions": actions, "rewards": rewards, "types": types, "positions": positions}


def make_factory(*, seed: int | None = 7, longest: int = LONGEST, **choices: Any) -> WorkerFactory:
    """Return a factory with short episodes and a seed."""
    return WorkerFactory(max_episode_length=longest, seed=seed, **choices)


def make_local(policy: Any = None, env: Any = None, **choices: Any) -> LocalSampler:
    """Return a sampler in this process, of a walk with a Gaussian policy unless told otherwise."""
    return LocalSampler.from_worker_factory(make_factory(**choices), policy or Gaussian(), env or Walk())


class Killer(Walk):
    """A walk whose process is killed at the fifth step before an end, as long as `times` files allow it."""

    def __init__(self, folder: str, times: int = 1) -> None:
        super().__init__()
        self.folder = Path(folder)
        self.times = times

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._left == 5:
            self._kill()
        return super().step(action)

    def _kill(self) -> None:
        for number in range(self.times):
            with suppress(FileExistsError):
                (self.folder / str(number)).touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)


class Hanging(Walk):
    """A walk that never comes back from a step, as long as there is no file `folder`/free."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = Path(folder)

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        if self._left == 5 and not (self.folder / "free").exists():
            threading.Event().wait()
        return super().step(action)


class Starving(Walk):
    """A walk that takes all memory for shared files away from its process."""

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
        return super().reset(seed=seed)


def build_nothing() -> Walk:
    """Fail to build an environment."""
    raise LookupError("the walk has lost its way")


class RaisingPolicy(Gaussian):
    """A policy that breaks as soon as an observation is large."""

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        if observations.max() > 4:
            raise OverflowError("too large for this policy")
        return super().get_actions(observations, rngs=rngs)


class Odd(Walk):
    """A walk with words among its infos, which no shared memory holds."""

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "word": "w" * self._left}
