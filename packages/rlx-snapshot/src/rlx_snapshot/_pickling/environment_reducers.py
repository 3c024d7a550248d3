"""How live environments are written: with everything they hold, in mid-episode.

Gymnasium's EzPickle writes only the constructor's arguments, so that a loaded
environment starts anew. Here the attributes themselves are written; windows and
render surfaces, which are no part of an episode, come back empty and are opened
again by the next ``render``.
"""

from typing import Any, Final

from rlx_snapshot._pickling.atari import emulator
from rlx_snapshot._pickling.calls import (
    NOTHING,
    Reduced,
    Reducer,
    RefusedError,
    attributes_of,
    with_attributes,
)

_DISPLAYS: Final = frozenset(
    {
        ("pygame", "Surface"),
        ("pygame", "Clock"),
        ("pygame", "Font"),
        ("gymnasium", "OffScreenViewer"),
        ("gymnasium", "WindowViewer"),
    }
)


class EnvironmentReducers:
    """The reducers of one dump; remembers which game an emulator met in it is playing."""

    def __init__(self) -> None:
        self._players: dict[int, Any] = {}

    def __call__(self, cls: type) -> Reducer | None:
        """The reducer for a class, None where it is no environment or pickles exactly by itself."""
        root = cls.__module__.partition(".")[0]
        if (root, cls.__name__) in _DISPLAYS:
            return _empty
        if root == "ale_py" and cls.__name__ == "ALEInterface":
            return self._emulator
        if _starts_anew_when_unpickled(cls):
            return self._environment
        return None

    def _environment(self, environment: Any) -> Reduced:
        attributes = dict(attributes_of(environment))
        if "_game" in attributes and "ale" in attributes:
            self._players[id(attributes["ale"])] = environment
        return with_attributes(environment, attributes)

    def _emulator(self, ale: Any) -> Reduced:
        if id(ale) not in self._players:
            msg = (
                "an ALEInterface cannot be saved without the AtariEnv that plays on it: save the environment"
            )
            raise RefusedError(msg)
        return emulator(ale, attributes_of(self._players[id(ale)]))


def _empty(_: object) -> Reduced:
    return NOTHING


def _starts_anew_when_unpickled(cls: type) -> bool:
    for base in cls.__mro__:
        if "__getstate__" in vars(base):
            return base.__name__ == "EzPickle" and base.__module__.startswith(("gymnasium.", "gym."))
        if "__reduce__" in vars(base) or "__reduce_ex__" in vars(base):
            return False
    return False
