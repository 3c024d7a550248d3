"""Finding the part of a state that cannot be pickled, to name it in the error."""

import pickle
import types
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final, cast

from rlx_snapshot._errors import UnpicklableStateError
from rlx_snapshot._pickling.calls import RefusedError, attributes_of, class_of

REFUSALS: Final = (TypeError, AttributeError, ValueError, RuntimeError, pickle.PicklingError)
"""What picklers and `__reduce__` methods raise for objects that cannot be pickled."""

_DEEPEST: Final = 40
_LONGEST_KEY: Final = 40
_LEAVES: Final = (str, bytes, bytearray, memoryview, int, float, type)

Step = tuple[str, object]
"""How a part is reached from its owner, as it would be written in Python, and the part."""


def unpicklable(state: object, refusal: Exception, dump: Callable[[object], object]) -> UnpicklableStateError:
    """The error that names the part for which `dump` raised `refusal`."""
    path, owner, part = failing_part(state, refusal, dump)
    way_out = None if isinstance(refusal, RefusedError) else _way_out(owner, part)
    return UnpicklableStateError(path, str(refusal).rstrip("."), way_out)


def unloadable(
    state: object, failure: Exception, load_back: Callable[[object], object]
) -> UnpicklableStateError:
    """The error that names the part for which loading what was pickled raised `failure`."""
    path, _, part = failing_part(state, failure, load_back)
    kind = type(part).__qualname__
    return UnpicklableStateError(
        path,
        f"{kind} can be pickled, but loading it raises {type(failure).__name__}: {failure}".rstrip("."),
        f"Leave it out of the state, or give {kind} a __reduce__ that names how to build it again",
    )


def failing_part(
    state: object, error: Exception, attempt: Callable[[object], object]
) -> tuple[str, object, object]:
    """Path, owner and value of the innermost part of `state` for which `attempt` raises the like of `error`."""
    path, owner, part = "state", state, state
    for _ in range(_DEEPEST):
        for step, inner in _parts(part):
            if _fails_alike(inner, error, attempt):
                path, owner, part = path + step, part, inner
                break
        else:
            break
    return path, owner, part


def _fails_alike(part: object, error: Exception, attempt: Callable[[object], object]) -> bool:
    try:
        attempt(part)
    except Exception as other:  # noqa: BLE001 - anything, as it is only compared
        return type(other) is type(error) and str(other) == str(error)
    return False


def _parts(owner: object) -> Iterator[Step]:
    if issubclass(type(owner), _LEAVES):
        return
    yield from _items(owner)
    for attributes in (_saved_attributes(owner), _held_attributes(owner)):
        yield from ((f".{name}", value) for name, value in attributes.items())


def _items(owner: Any) -> Iterator[Step]:
    cls = class_of(owner)  # isinstance would ask the object, which may answer anything
    if issubclass(cls, Mapping):
        for key, value in cast("Mapping[object, object]", owner).items():
            yield f"[{_shortened(repr(key))}]", value
    elif issubclass(cls, list | tuple):
        yield from ((f"[{number}]", item) for number, item in enumerate(cast("list[object]", owner)))
    elif issubclass(cls, AbstractSet):
        yield from (("{...}", item) for item in cast("AbstractSet[object]", owner))
    elif cls is types.FunctionType:
        names = owner.__code__.co_freevars
        yield from zip((f".<variable {name}>" for name in names), owner.__closure__ or (), strict=True)
    elif cls is types.CellType:
        yield "", owner.cell_contents


def _saved_attributes(owner: object) -> dict[str, object]:
    """What the object itself says is to be saved of it."""
    try:
        state: Any = owner.__reduce_ex__(5)[2]
    except Exception:  # noqa: BLE001 - it says nothing, or does not know
        return {}
    found: dict[str, object] = {}
    for part in cast("tuple[object, ...]", state) if type(state) is tuple else (state,):
        if type(part) is dict:
            found.update(cast("dict[str, object]", part))
    return found


def _held_attributes(owner: object) -> dict[str, object]:
    try:
        return attributes_of(owner)
    except Exception:  # noqa: BLE001 - it has none, or fails when it is asked
        return {}


def _way_out(owner: object, part: object) -> str:
    module, _, _ = str(vars(type(part)).get("__module__", "")).partition(".")
    if type(part).__name__ == "SwigPyObject" or module in {"Box2D", "_Box2D"}:
        return (
            "It belongs to a C library that cannot copy it (as Box2D cannot): leave the environment out of the "
            "state and make a new one when resuming"
        )
    if owner is part or type(owner).__module__ == "builtins":
        return "Leave it out of the state"
    return f"Leave it out of the state, or give {type(owner).__qualname__} a __getstate__ that does"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_KEY else text[:_LONGEST_KEY] + "..."
