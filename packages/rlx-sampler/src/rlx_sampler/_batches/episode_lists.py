"""Episodes as plain dicts, in the form of garage's `obtain_samples`."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from rlx_sampler._batches.step_types import StepType, label_steps
from rlx_sampler._batches.trees import Array, ArrayTree, as_arrays, rows

LISTED = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "step_types",
    "env_infos",
    "agent_infos",
    "episode_infos",
)
NEEDED = ("observations", "next_observations", "actions", "rewards")


class Episode(Protocol):
    """A batch of one episode, as far as its dict goes."""

    @property
    def observations(self) -> ArrayTree: ...
    @property
    def next_observations(self) -> ArrayTree: ...


def episode_to_dict(episode: Episode) -> dict[str, Any]:
    """Return the fields of a batch of one episode by name."""
    return {name: getattr(episode, name) for name in LISTED}


def episode_from_dict(episode: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a batch that holds the one episode of the dict."""
    missing = [name for name in NEEDED if name not in episode]
    if missing:
        raise ValueError(f"the dict of an episode lacks {missing}; it has {sorted(episode)}.")
    rewards = np.asarray(episode["rewards"])
    infos = {name: episode.get(name, {}) for name in ("env_infos", "agent_infos", "episode_infos")}
    return {
        "observations": episode["observations"],
        "last_observations": rows(as_arrays(episode["next_observations"]), slice(-1, None)),
        "actions": episode["actions"],
        "rewards": rewards,
        "step_types": episode["step_types"]
        if "step_types" in episode
        else _step_types(episode, len(rewards)),
        "lengths": np.asarray([len(rewards)]),
        **infos,
    }


def _step_types(episode: Mapping[str, Any], length: int) -> Array:
    terminal = bool(np.asarray(episode["dones"])[-1]) if "dones" in episode else False
    return label_steps(length, StepType.TERMINAL if terminal else StepType.TIMEOUT)
