"""Bring a read state into a living policy: wholly, or not at all."""

import os
from collections.abc import Mapping
from typing import Any, cast

from rlx_persistence._errors import PolicyMismatchError
from rlx_persistence._offers import shape_of, state_dict_of


def load_state(policy: object, state: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Give `state` to ``policy.load_state_dict`` after its keys and shapes were found to fit.

    Raises:
        TypeError: If the policy has no state dict.
        PolicyMismatchError: If keys or shapes differ; the policy is as before.
    """
    current = state_dict_of(policy)
    if current is None:
        raise TypeError(
            f"{type(policy).__name__} has no state_dict() that {os.fspath(path)} could be restored to: "
            f"use mode=PolicyPersistence.Mode.POLICY, which takes any picklable policy"
        )
    _refuse_misfit(current, state, path)
    cast("Any", policy).load_state_dict(state)


def _refuse_misfit(
    current: Mapping[str, object], given: Mapping[str, object], path: str | os.PathLike[str]
) -> None:
    missing = sorted(current.keys() - given.keys())
    unexpected = sorted(given.keys() - current.keys())
    misshapen = [
        f"{key} {shape_of(given[key])} instead of {shape_of(value)}"
        for key, value in current.items()
        if key in given and None not in (shape_of(value), shape_of(given[key]))
        if shape_of(given[key]) != shape_of(value)
    ]
    if missing or unexpected or misshapen:
        raise PolicyMismatchError(path, missing=missing, unexpected=unexpected, misshapen=misshapen)


def copy_state(source: object, target: object, path: str | os.PathLike[str]) -> None:
    """Make `target` what `source` is, without replacing the object itself.

    Objects with ``__setstate__`` get the state a pickle of `source` would carry; dicts
    their items; all others their attributes.

    Raises:
        TypeError: If the types differ, or objects of the type cannot be changed in place.
        PolicyMismatchError: If `source` lacks attributes that `target` has.
    """
    if type(source) is not type(target):
        raise TypeError(f"{os.fspath(path)} holds a {type(source).__name__}, not a {type(target).__name__}")
    if isinstance(target, dict):
        replacement = dict(cast("dict[object, object]", source))
        cast("dict[object, object]", target).clear()
        cast("dict[object, object]", target).update(replacement)
        return
    state = source.__getstate__()
    try:
        set_state = cast("Any", target).__setstate__
    except AttributeError:
        _set_attributes(target, state, path)
    else:
        set_state(state)


def _set_attributes(target: object, state: object, path: str | os.PathLike[str]) -> None:
    attributes = _attributes(state)
    if not attributes:
        raise TypeError(
            f"a {type(target).__name__} cannot be changed in place: "
            f"use load_policy({os.fspath(path)!r}), which returns the policy"
        )
    if missing := sorted(_attributes(target.__getstate__()).keys() - attributes.keys()):
        raise PolicyMismatchError(path, missing=missing)
    for name, value in attributes.items():
        object.__setattr__(target, name, value)


def _attributes(state: object) -> dict[str, object]:
    # A pickle's state is None, the attributes, or a pair of them and the values of the slots.
    parts = cast("tuple[object, ...]", state) if isinstance(state, tuple) else (state,)
    found: dict[str, object] = {}
    for part in parts:
        if isinstance(part, dict):
            found.update(cast("dict[str, object]", part))
    return found
