"""How an Atari emulator is written: game, settings, state, and the action it may repeat."""

import importlib
import math
from collections.abc import Sequence
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, RefusedError, built_then, class_of, method

_SETTINGS: Final = {
    "Float": ("repeat_action_probability",),
    "Int": ("random_seed", "max_num_frames_per_episode"),
    "Bool": ("color_averaging", "truncate_on_loss_of_life", "sound_obs"),
}
_FRAMES_TO_COMPARE: Final = 8


def emulator(ale: Any, player: dict[str, Any]) -> Reduced:
    """Write `ale`, whose game, mode and difficulty are attributes of the AtariEnv that plays on it."""
    calls = _setup(ale, player)
    state = ale.cloneState(include_rng=True)
    _refuse_if_unreadable(state)
    if 0 < ale.getFloat("repeat_action_probability") < 1 and not ale.game_over():
        last = _last_action(ale, state, player["_action_set"])
        calls += [Call(method("act", last), ale) for _ in range(_attempts(ale))]
    calls.append(Call(method("restoreState", state), ale))
    return built_then(class_of(ale), (), calls)


def _refuse_if_unreadable(state: Any) -> None:
    try:
        state.serialize()
    except UnicodeDecodeError as error:  # it takes its bytes for text
        version = vars(importlib.import_module("ale_py")).get("__version__", "this version of ale-py")
        msg = f"ale-py {version} cannot write down an emulator's state: pip install 'ale-py>=0.12'"
        raise RefusedError(msg) from error


def _setup(ale: Any, player: dict[str, Any]) -> list[Call]:
    roms: Any = importlib.import_module("ale_py.roms")
    quiet: Any = importlib.import_module("ale_py").LoggerMode.Error
    calls = [Call(method("setLoggerMode", quiet), ale)]
    for kind, names in _SETTINGS.items():
        values = {name: method(f"get{kind}", name)(ale) for name in names}
        calls += [Call(method(f"set{kind}", name, value), ale) for name, value in values.items()]
    calls.append(Call(method("loadROM", Call(roms.get_rom_path, player["_game"])), ale))
    if player["_game_mode"] is not None:
        calls.append(Call(method("setMode", player["_game_mode"]), ale))
    if player["_game_difficulty"] is not None:
        calls.append(Call(method("setDifficulty", player["_game_difficulty"]), ale))
    return calls


def _last_action(ale: Any, state: Any, actions: Sequence[Any]) -> Any:
    """The action that the emulator holds for its sticky repeats, found by what it does.

    The emulator's state leaves it out and nothing reads it. So the emulator continues for a
    few frames, and then again from the same state with each action in place of the
    unknown one, until the outcome is the same. (The generator that decides about repeats
    is part of the state: where it does not repeat next, every action fits and none
    matters.) The emulator ends in `state`, holding the action found.
    """
    wanted = _outcome(ale, state, actions[0])
    action = actions[0]
    for action in actions:
        _hold(ale, action)
        if _outcome(ale, state, actions[0]) == wanted:
            break
    _hold(ale, action)
    ale.restoreState(state)
    return action


def _outcome(ale: Any, state: Any, action: Any) -> bytes:
    ale.restoreState(state)
    for _ in range(_FRAMES_TO_COMPARE):
        ale.act(action)
    return bytes(ale.cloneState(include_rng=False).serialize())


def _hold(ale: Any, action: Any) -> None:
    """Let `action` be the last one, whatever the emulator chooses to repeat meanwhile."""
    here = ale.cloneState(include_rng=False)
    for _ in range(_attempts(ale)):
        ale.restoreState(here)
        ale.act(action)


def _attempts(ale: Any) -> int:
    """How often to act until an action is taken for certain: with odds of 1 to 10^9."""
    stickiness: float = ale.getFloat("repeat_action_probability")
    return math.ceil(math.log(1e-9) / math.log(stickiness))
