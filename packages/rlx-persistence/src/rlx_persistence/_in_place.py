"""Make a living object what a read one is, without replacing the object itself."""

import os
import sys
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

from rlx_persistence._arrays import dtype_name, is_array
from rlx_persistence._errors import PolicyMismatchError
from rlx_persistence._offers import set_state_of, shape_of
from rlx_persistence._optional import import_torch, is_tensor

_Source = str | os.PathLike[str]
_IMMUTABLE: Final = (
    type,
    tuple,
    frozenset,
    str,
    bytes,
    int,
    float,
    complex,
    FunctionType,
    MethodType,
    ModuleType,
)


def refuse_immutable(target: object) -> None:
    """Refuse what `copy_state` could not change.

    Raises:
        TypeError: If objects of the type cannot be changed in place.
    """
    if not (_is_block(target) or _is_container(target) or _set_state_of(target) or _has_attributes(target)):
        raise TypeError(
            f"a {type(target).__name__} cannot be changed in place, so it could never be restored: "
            f"give a list, a deque, an array, or an object with attributes"
        )


def copy_state(source: object, target: object, path: _Source) -> None:
    """Make `target` what `source` is.

    Arrays and tensors get the values; lists, deques, sets and dicts the items; objects
    with ``__setstate__`` the state that a pickle of `source` would carry; all others
    their attributes.

    Raises:
        TypeError: If the types differ, or objects of the type cannot be changed in place.
        PolicyMismatchError: If `source` does not fit: another shape or dtype, more
            items than a deque may hold, or without attributes that `target` has.
    """
    if type(source) is not type(target):
        raise TypeError(f"{os.fspath(path)} holds a {type(source).__name__}, not a {type(target).__name__}")
    if _is_block(target):
        _copy_values(source, target, path)
        return
    set_state = _set_state_of(target)
    if set_state is not None:
        set_state(source.__getstate__())
        return
    if not (_is_container(target) or _has_attributes(target)):
        raise TypeError(
            f"a {type(target).__name__} cannot be changed in place: "
            f"use load_policy({os.fspath(path)!r}), which returns the policy"
        )
    _refuse_longer_deque(source, target, path)
    attributes = _attributes(source.__getstate__())
    if missing := sorted(_attributes(target.__getstate__()).keys() - attributes.keys()):
        raise PolicyMismatchError(path, missing=missing)
    _copy_items(source, target)
    for name, value in attributes.items():
        object.__setattr__(target, name, value)


def _is_block(value: object) -> bool:
    """Whether `value` is an array or a tensor: a block of numbers of one kind."""
    numpy = sys.modules.get("numpy")
    return is_tensor(value) or (numpy is not None and isinstance(value, numpy.ndarray))


def _set_state_of(value: object) -> Callable[[object], object] | None:
    numpy = sys.modules.get("numpy")
    number = numpy is not None and isinstance(value, numpy.generic)  # has the method, and stays what it is
    return None if number or _is_container(value) else set_state_of(value)


def _is_container(value: object) -> bool:
    return isinstance(value, list | deque | dict | set | bytearray | array)


def _has_attributes(value: object) -> bool:
    try:
        vars(value)
    except TypeError:
        return bool(_attributes(value.__getstate__()))  # slots
    return not isinstance(value, _IMMUTABLE) and not is_array(value)  # JAX's never change


def _copy_values(source: object, target: object, path: _Source) -> None:
    given, wanted = ((shape_of(value), dtype_name(value)) for value in (source, target))
    if given != wanted:
        difference = f"{given[0]} of {given[1]} instead of {wanted[0]} of {wanted[1]}"
        raise PolicyMismatchError(path, misshapen=[difference])
    if is_tensor(target):
        with import_torch("a tensor").no_grad():
            cast("Any", target).copy_(source)
    else:
        cast("Any", target)[...] = source


def _refuse_longer_deque(source: object, target: object, path: _Source) -> None:
    if isinstance(target, deque):
        held, limit = len(cast("deque[object]", source)), cast("deque[object]", target).maxlen
        if limit is not None and held > limit:
            raise PolicyMismatchError(path, misshapen=[f"{held} items instead of at most {limit}"])


def _copy_items(source: object, target: object) -> None:
    if isinstance(target, deque):
        items = list(cast("deque[object]", source))
        cast("deque[object]", target).clear()
        cast("deque[object]", target).extend(items)
    elif isinstance(target, dict):
        items_by_key = dict(cast("dict[object, object]", source))
        cast("dict[object, object]", target).clear()
        cast("dict[object, object]", target).update(items_by_key)
    elif isinstance(target, set):
        members = set(cast("set[object]", source))
        cast("set[object]", target).clear()
        cast("set[object]", target).update(members)
    elif isinstance(target, list | bytearray | array):
        cast("Any", target)[:] = source


def _attributes(state: object) -> Mapping[str, object]:
    # A pickle's state is None, the attributes, or a pair of them and the values of the slots.
    parts = cast("tuple[object, ...]", state) if isinstance(state, tuple) else (state,)
    found: dict[str, object] = {}
    for part in parts:
        if isinstance(part, dict):
            found.update(cast("dict[str, object]", part))
    return found
