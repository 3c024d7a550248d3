"""Environments and policies whose episodes depend on more than their keys, each in a way of its own."""

import os
import time
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sampler_worlds import Array, Gaussian, Walk

Step = tuple[Array, float, bool, bool, dict[str, Any]]


class Counting(Walk):
    """A walk whose rewards shrink with every step that it ever took, under a name that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        self.taken += 1
        return observation, reward / self.taken, terminated, truncated, info


class FirstLayout(Walk):
    """A walk that keeps the place of its first episode, and is otherwise the same again."""

    def __init__(self) -> None:
        super().__init__()
        self.layout: float | None = None

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        if self.layout is None:
            self.layout = float(observation[0])
        return observation, {**info, "layout": self.layout}

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + (self.layout or 0.0), terminated, truncated, info


class ClassCounting(Walk):
    """A walk whose class counts episodes."""

    episodes: ClassVar[int] = 0

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        type(self).episodes += 1
        return super().reset(seed=seed)

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + self.episodes, terminated, truncated, info


class OwnGenerator(Walk):
    """A walk with a generator that no seed reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = np.random.default_rng()

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + self.noise.random(), terminated, truncated, info


class UnseededStart(Walk):
    """A walk that is the same again, but for what its reset tells: that is drawn from the machine's entropy."""

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        observation, info = super().reset(seed=seed)
        return observation, {**info, "advice": float(np.random.default_rng().random())}


class Entropy(Walk):
    """A walk that asks the system for chance."""

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + os.urandom(1)[0], terminated, truncated, info


class Names(Walk):
    """A walk whose rewards follow the order of a set of strings."""

    def __init__(self) -> None:
        super().__init__()
        self.names = {"w" * length for length in range(1, 30)}

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        weighted = sum(place * len(name) for place, name in enumerate(self.names))
        return observation, reward + weighted, terminated, truncated, info


class Offset(Walk):
    """A walk that is another one elsewhere, as one that follows the hashes of strings or a library's version."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def step(self, action: Any) -> Step:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward + self.offset, terminated, truncated, info


class Slow(Walk):
    """A walk that takes its time."""

    def step(self, action: Any) -> Step:
        time.sleep(0.2)
        return super().step(action)


class LastActions(Walk):
    """A walk that cannot be copied once it has begun, as Box2D's worlds cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.steps_left: Any = None

    def reset(self, *, seed: int | None = None) -> tuple[Array, dict[str, Any]]:
        self.steps_left = (step for step in range(3))
        return super().reset(seed=seed)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("cannot pickle a world")

    def __reduce__(self) -> Any:
        if self.steps_left is not None:
            raise TypeError("cannot pickle a world that has begun")
        return Rebuilt, (type(self),)


def Rebuilt(kind: type[Walk]) -> Walk:  # noqa: N802 - it stands for a class
    """Return a new world of a kind."""
    return kind()


class Schedule(Gaussian):
    """A policy that counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        self.asked += 1
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions / self.asked, infos


class Recurrent(Gaussian):
    """A policy with a hidden state for each row, which it can forget row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = np.zeros(0)

    def reset(self, dones: Array) -> None:
        if len(self.hidden) != len(dones):
            self.hidden = np.zeros(len(dones))
        self.hidden[dones] = 0

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        self.hidden = np.tanh(0.9 * self.hidden + observations[:, 0])
        actions, infos = super().get_actions(observations, rngs=rngs)
        return actions * self.hidden[:, None], {**infos, "hidden": self.hidden.copy()}


class RecurrentForAll(Recurrent):
    """A policy with a hidden state for each row that can only forget all of them."""

    def reset(self) -> None:  # type: ignore[override]
        self.hidden = np.zeros(0)

    def get_actions(
        self, observations: Any, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Any]]:
        if len(self.hidden) != len(observations):
            self.hidden = np.zeros(len(observations))
        return super().get_actions(observations, rngs=rngs)


class SingleRecurrent:
    """A policy that is asked for one action at a time and sums what it saw."""

    def __init__(self) -> None:
        self.seen = 0.0
        self.gain = np.array(1.0)

    def reset(self) -> None:
        self.seen = 0.0

    def get_action(self, observation: Array, *, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        self.seen += float(observation[0])
        return np.full(3, self.gain * self.seen + rng.random()), {"seen": self.seen}

    def get_param_values(self) -> dict[str, Any]:
        return {"gain": self.gain}

    def set_param_values(self, values: dict[str, Any]) -> None:
        self.gain = values["gain"]
