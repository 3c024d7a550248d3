"""Bring a read state into a living policy: wholly, or not at all."""

import os
import warnings
from collections.abc import Mapping

from rlx_persistence._arrays import dtype_name, in_the_kind_of
from rlx_persistence._errors import DtypeWarning, PolicyMismatchError
from rlx_persistence._forms.storable import view_of
from rlx_persistence._in_place import copy_state
from rlx_persistence._jax import load_tree
from rlx_persistence._offers import load_state_dict_of, shape_of, state_dict_of
from rlx_persistence._optional import is_tensor


def load_state(policy: object, state: Mapping[str, object], path: str | os.PathLike[str]) -> None:
    """Give `state` to ``policy.load_state_dict``, or to a JAX policy, after its keys and shapes were found to fit.

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
    state = _with_tied(state, current)
    _refuse_misfit(current, state, path)
    _warn_of_casts(current, state, path)
    if any(in_the_kind_of(value, current[key]) is not value for key, value in state.items()):
        state = {key: in_the_kind_of(value, current[key]) for key, value in state.items()}
    load = load_state_dict_of(policy)
    if load is not None:
        load(state)
    elif (loaded := load_tree(policy, state)) is not policy:
        copy_state(loaded, policy, path)


def _with_tied(given: Mapping[str, object], current: Mapping[str, object]) -> Mapping[str, object]:
    """Add the entries that the file holds under another name of the same tensor only."""
    missing = [key for key in current if key not in given]
    if not missing:
        return given
    names = {_view_of(value): key for key, value in current.items() if key in given}
    views = {key: _view_of(current[key]) for key in missing}
    return {**given, **{key: given[names[view]] for key, view in views.items() if view and view in names}}


def _view_of(value: object) -> tuple[object, ...] | None:
    try:
        return view_of(value) if is_tensor(value) else None
    except (RuntimeError, NotImplementedError):  # sparse tensors, lazy parameters: they are tied to none
        return None


def _refuse_misfit(
    current: Mapping[str, object], given: Mapping[str, object], path: str | os.PathLike[str]
) -> None:
    missing = sorted(map(str, current.keys() - given.keys()))
    unexpected = sorted(map(str, given.keys() - current.keys()))
    misshapen = [
        f"{key} {shape_of(given[key])} instead of {shape_of(value)}"
        for key, value in current.items()
        if key in given and None not in (shape_of(value), shape_of(given[key]))
        if shape_of(given[key]) != shape_of(value)
    ]
    if missing or unexpected or misshapen:
        raise PolicyMismatchError(path, missing=missing, unexpected=unexpected, misshapen=misshapen)


def _warn_of_casts(
    current: Mapping[str, object], given: Mapping[str, object], path: str | os.PathLike[str]
) -> None:
    names = ((key, dtype_name(given[key]), dtype_name(value)) for key, value in current.items())
    casts = [f"{key} from {old} to {new}" for key, old, new in names if None not in (old, new) and old != new]
    if casts:
        warnings.warn(
            f"{os.fspath(path)} is restored into other dtypes, so values may change: {', '.join(casts)}. "
            f"Give the policy the dtypes that it had when it was persisted.",
            DtypeWarning,
            stacklevel=6,
        )
