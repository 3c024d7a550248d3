"""Vector environments of Stable-Baselines3, seen as vector environments of gymnasium."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.trees import Array
from rlx_sampler._vector.infos import columns_of

LAST_OBSERVATION: Final = "terminal_observation"
TRUNCATED: Final = "TimeLimit.truncated"


class Sb3VectorEnvironment:
    """Resets ended lanes in the same step, as gymnasium's SAME_STEP does; seeds are for all lanes together.

    Args:
        environment: A ``VecEnv`` of Stable-Baselines3; its owner closes it.
    """

    def __init__(self, environment: Any) -> None:
        self._environment = environment

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin again in all lanes; lane i is seeded with seed + i."""
        self._environment.seed(seed)
        observations = self._environment.reset()
        return observations, columns_of(self._environment.reset_infos)

    def step(self, actions: Any) -> tuple[Any, Array, Array, Array, dict[str, Any]]:
        """Take one step in every lane."""
        observations, rewards, ended, infos = self._environment.step(actions)
        ended = np.asarray(ended, bool)
        if not ended.any():
            return observations, rewards, ended, np.zeros_like(ended), columns_of([*map(_kept, infos)])
        truncated = np.array([bool(info.get(TRUNCATED)) for info in infos]) & ended
        begun: Sequence[Mapping[str, Any]] = self._environment.reset_infos
        present = [begun[lane] if over else _kept(infos[lane]) for lane, over in enumerate(ended)]
        final: list[Mapping[str, Any]] = [
            _kept(infos[lane]) if over else {} for lane, over in enumerate(ended)
        ]
        last = np.full(len(ended), None, object)
        for lane in np.flatnonzero(ended).tolist():
            last[lane] = infos[lane][LAST_OBSERVATION]
        ends = {"final_obs": last, "_final_obs": ended, "final_info": columns_of(final), "_final_info": ended}
        return observations, rewards, ended & ~truncated, truncated, columns_of(present) | ends


def _kept(info: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in info.items() if name not in (LAST_OBSERVATION, TRUNCATED)}
