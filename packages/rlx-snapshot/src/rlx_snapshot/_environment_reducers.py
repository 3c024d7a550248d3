"""How live environments are written: with everything they hold, in mid-episode.

Gymnasium's EzPickle writes only the constructor's arguments, so that a loaded
environment starts anew. Here the attributes themselves are written; windows and
render surfaces, which are no part of an episode, come back empty and are opened
again by the next ``render``.
"""

import importlib
from typing import Any, Final

from rlx_snapshot._calls import (
    NOTHING,
    Call,
    Reduced,
    Reducer,
    attributes_of,
    built_then,
    class_of,
    method,
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
_ALE_SETTINGS: Final = {
    "Float": ("repeat_action_probability",),
    "Int": ("random_seed", "max_num_frames_per_episode", "frame_skip"),
    "Bool": ("color_averaging", "truncate_on_loss_of_life", "sound_obs"),
}


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
            raise TypeError(msg)
        attributes = attributes_of(self._players[id(ale)])
        return built_then(class_of(ale), (), [*_ale_setup(ale, attributes), _ale_position(ale)])


def _empty(_: object) -> Reduced:
    return NOTHING


def _starts_anew_when_unpickled(cls: type) -> bool:
    for base in cls.__mro__:
        if "__getstate__" in vars(base):
            return base.__name__ == "EzPickle" and base.__module__.startswith(("gymnasium.", "gym."))
        if "__reduce__" in vars(base) or "__reduce_ex__" in vars(base):
            return False
    return False


def _ale_setup(ale: Any, attributes: dict[str, Any]) -> list[Call]:
    roms: Any = importlib.import_module("ale_py.roms")
    quiet: Any = importlib.import_module("ale_py").LoggerMode.Error

    calls = [Call(method("setLoggerMode", quiet), ale)]
    for kind, names in _ALE_SETTINGS.items():
        values = {name: method(f"get{kind}", name)(ale) for name in names}
        calls += [Call(method(f"set{kind}", name, value), ale) for name, value in values.items()]
    calls.append(Call(method("loadROM", Call(roms.get_rom_path, attributes["_game"])), ale))
    if attributes["_game_mode"] is not None:
        calls.append(Call(method("setMode", attributes["_game_mode"]), ale))
    if attributes["_game_difficulty"] is not None:
        calls.append(Call(method("setDifficulty", attributes["_game_difficulty"]), ale))
    return calls


def _ale_position(ale: Any) -> Call:
    return Call(method("restoreState", ale.cloneState(include_rng=True)), ale)
