"""How live environments are written: with everything they hold, in mid-episode.

Gymnasium's EzPickle writes only the constructor's arguments, so that a loaded
environment starts again; Stable-Baselines3's VecNormalize and HerReplayBuffer leave
the environment out that they wrap. Here the attributes themselves are written.
"""

import inspect
from typing import Any, Final

from rlx_snapshot._pickling.atari import emulator
from rlx_snapshot._pickling.calls import (
    Call,
    Reduced,
    Reducer,
    RefusedError,
    attributes_of,
    class_of,
    with_attributes,
)
from rlx_snapshot._pickling.simulations import simulations_in, with_views

_WAYS: Final = frozenset({"__getstate__", "__reduce__", "__reduce_ex__"})


class EnvironmentReducers:
    """The reducers of one dump; remembers which game an emulator met in it is playing."""

    def __init__(self) -> None:
        self._players: dict[int, Any] = {}

    def __call__(self, cls: type) -> Reducer | None:
        """The reducer for a class, None where it is no environment or pickles exactly by itself."""
        if cls.__module__.partition(".")[0] == "ale_py" and cls.__name__ == "ALEInterface":
            return self._emulator
        if _is_of_sb3(cls, "VecEnvWrapper"):
            return self._vector_wrapper
        if _is_of_sb3(cls, "HerReplayBuffer"):
            return self._environment
        pickles_as = _own_way_of(cls)
        if pickles_as is None:
            return None
        return self._environment if pickles_as == "EzPickle" else self._simulation

    def _environment(self, environment: Any) -> Reduced:
        attributes = dict(attributes_of(environment))
        if "_game" in attributes and "ale" in attributes:
            self._players[id(attributes["ale"])] = environment
        return with_attributes(environment, with_views(attributes))

    def _simulation(self, environment: Any) -> Reduced:
        """An environment with a way of its own, which builds a simulator again: the live one is written instead."""
        attributes = attributes_of(environment)
        return self._environment(environment) if simulations_in(attributes) else NotImplemented

    def _vector_wrapper(self, wrapper: Any) -> Reduced:
        """A wrapper of SB3, which remembers the members of its class: those are looked up again."""
        attributes = dict(attributes_of(wrapper))
        if "class_attributes" in attributes:
            members = Call(inspect.getmembers, class_of(wrapper))
            attributes["class_attributes"] = Call(dict, members)
        return with_attributes(wrapper, attributes)

    def _emulator(self, ale: Any) -> Reduced:
        if id(ale) not in self._players:
            msg = (
                "an ALEInterface cannot be saved without the AtariEnv that plays on it: save the environment"
            )
            raise RefusedError(msg)
        return emulator(ale, attributes_of(self._players[id(ale)]))


def _own_way_of(cls: type) -> str | None:
    """The class that decides how environments of this class are pickled; None where that is Python itself."""
    for base in cls.__mro__[:-1]:
        if _WAYS.intersection(vars(base)):
            known = base.__name__ == "EzPickle" and base.__module__.startswith(("gymnasium.", "gym."))
            is_environment = any(_is_environment(other) for other in cls.__mro__)
            return "EzPickle" if known else base.__name__ if is_environment else None
    return None


def _is_of_sb3(cls: type, name: str) -> bool:
    return any(
        base.__name__ == name and base.__module__.startswith("stable_baselines3.") for base in cls.__mro__
    )


def _is_environment(cls: type) -> bool:
    return cls.__name__ == "Env" and cls.__module__.startswith(("gymnasium.", "gym."))
