"""Environments that step all their lanes at once: gymnasium's vector environments, and envpool's."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_sampler._batches.tensors import to_array
from rlx_sampler._batches.trees import Array, ArrayTree
from rlx_sampler._offers import all_attributes, autoreset_mode, declares, offered
from rlx_sampler._vector.sb3_environments import Sb3VectorEnvironment

IDLE_SEED: Final = 0
SB3: Final = "env_is_wrapped"
"""What the vector environments of Stable-Baselines3 have, and gymnasium's have not."""
FOREIGN: Final = "env_num"
"""What those of tianshou have."""
AGENTS: Final = "possible_agents"
"""What environments of several agents have in PettingZoo's interface, beside a space for each of them."""


class VectorStep(NamedTuple):
    """What one step of all lanes gave; each is an array or tree with one row a lane."""

    observations: ArrayTree
    rewards: Array
    terminated: Array
    truncated: Array
    infos: Mapping[str, Any]


def number_of_lanes(environment: Any) -> int | None:
    """Return how many episodes `environment` runs at once; None for one that runs a single episode.

    Raises:
        TypeError: If it is a vector environment with an interface of its own, or one of several agents.
    """
    if declares(environment, AGENTS) and offered(environment, "observation_space") is not None:
        raise TypeError(
            f"{type(environment).__name__} is an environment of several agents, as PettingZoo has them, whose "
            f"observations are dicts by agent: samplers run one agent. Pass an environment of one agent that "
            f"plays the others with policies of its own, or, where one policy acts for all agents and they "
            f"live equally long, a vector environment with a lane an agent "
            f"(supersuit.pettingzoo_env_to_vec_env_v1)."
        )
    if declares(environment, "all_env_ids"):
        return len(environment.all_env_ids)
    if _is_gymnasium_vector(environment):
        return int(environment.num_envs)
    if declares(environment, SB3):
        return int(environment.num_envs)
    if declares(environment, FOREIGN):
        raise TypeError(
            f"{type(environment).__name__} is a vector environment of another library, with an interface of "
            f"its own: pass a single environment and worker_args={{'n_envs': ...}}, or a vector environment "
            f"of gymnasium or Stable-Baselines3."
        )
    if not declares(environment, "num_envs") or not all_attributes(environment).get("is_vector_env", True):
        return None  # wrappers of Gymnasium below 1.0 have both, around whatever they wrap
    return int(environment.num_envs)


def _is_gymnasium_vector(environment: Any) -> bool:
    vector: Any = sys.modules.get("gymnasium.vector")
    return vector is not None and isinstance(environment, vector.VectorEnv)


class BuiltWithSeed:
    """An environment that takes its seed only when it is built, as envpool's do: built again for every seed.

    Args:
        build: Called with ``seed=`` an integer; returns the environment.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self._build = build
        self._environment: Any = build(seed=IDLE_SEED)

    @property
    def built(self) -> Any:
        """The environment of the present seed."""
        return self._environment

    def reset(self, *, seed: int | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin again, with another environment where there is a seed."""
        if seed is not None:
            self._environment.close()
            self._environment = self._build(seed=seed)
        observation, info = self._environment.reset()
        return observation, info

    def step(self, action: Any) -> Any:
        """Take a step."""
        return self._environment.step(action)

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()


class VectorEnvironment:
    """A vector environment as the lanes see it, in whichever way it resets its lanes by itself.

    Args:
        environment: The vector environment; its owner closes it.

    Raises:
        TypeError: If it takes no seed.
        ValueError: If it cannot be reset reliably.
    """

    def __init__(self, environment: Any) -> None:
        inner = environment.built if isinstance(environment, BuiltWithSeed) else environment
        n_lanes = number_of_lanes(inner)
        if n_lanes is None:
            raise TypeError(f"{type(inner).__name__} has no num_envs: it is no vector environment.")
        if declares(environment, "all_env_ids"):
            raise TypeError(
                f"{type(environment).__name__} takes its seed when it is built: pass a function of the seed, "
                f"as in `lambda seed: envpool.make(..., seed=seed)`."
            )
        is_sb3 = declares(inner, SB3)
        mode = "same_step" if is_sb3 else autoreset_mode(inner)
        self._environment: Any = Sb3VectorEnvironment(environment) if is_sb3 else environment
        self.n_lanes = n_lanes
        self.name = type(inner).__name__
        self.keeps_other_lanes = bool(mode) and not is_sb3 and inner is inner.unwrapped
        """Whether a reset of some lanes gives the present observations of the others, if it keeps to its mask."""
        self.resets_itself = "disabled" not in mode
        """Whether an ended lane begins a new episode without being told."""
        self.has_seeded_lanes = bool(mode) and not is_sb3 and _seeds_lanes(inner, mode)
        """Whether a lane can be reset by itself, with a seed of its own."""

    def reset_all(self, seed: int | Sequence[int]) -> tuple[ArrayTree, Mapping[str, Any]]:
        """Begin again in all lanes, from one seed or one each."""
        observations, infos = self._environment.reset(seed=seed if isinstance(seed, int) else list(seed))
        return observations, infos

    def reset_lanes(self, seeds: Mapping[int, int | None]) -> tuple[ArrayTree, Mapping[str, Any]]:
        """Begin again in some lanes; `seeds` has a seed a lane, or None where lanes cannot be seeded."""
        mask = np.zeros(self.n_lanes, bool)
        mask[list(seeds)] = True
        each = [seeds.get(lane) for lane in range(self.n_lanes)]
        seed = each if self.has_seeded_lanes else None
        observations, infos = self._environment.reset(seed=seed, options={"reset_mask": mask})
        return observations, infos

    def step(self, actions: ArrayTree) -> VectorStep:
        """Take one step in every lane.

        Raises:
            ValueError: If rewards or flags are not one a lane.
        """
        observations, rewards, terminated, truncated, infos = self._environment.step(actions)
        return VectorStep(
            observations,
            self._one_a_lane("rewards", rewards, np.float64),
            self._one_a_lane("terminated", terminated, np.bool_),
            self._one_a_lane("truncated", truncated, np.bool_),
            infos or {},
        )

    def _one_a_lane(self, name: str, values: Any, dtype: type[np.generic]) -> Array:
        array = np.asarray(to_array(values), dtype)
        if array.shape != (self.n_lanes,):
            raise ValueError(
                f"{self.name} gave {name} of shape {array.shape}; it must be ({self.n_lanes},), one a lane."
            )
        return array


def _seeds_lanes(environment: Any, mode: str) -> bool:
    """Whether lanes can be seeded one by one.

    Raises:
        ValueError: If the environment forgets which lanes were reset.
    """
    vector: Any = sys.modules.get("gymnasium.vector")
    base = environment.unwrapped
    if vector is None or not isinstance(base, vector.SyncVectorEnv | vector.AsyncVectorEnv):
        return False
    if isinstance(base, vector.AsyncVectorEnv) and not base.shared_memory and "next" in mode:
        raise ValueError(
            "AsyncVectorEnv without shared memory does not notice that an ended lane was reset, and resets it "
            "again in its first step: use shared_memory=True, or another autoreset_mode."
        )
    return True
