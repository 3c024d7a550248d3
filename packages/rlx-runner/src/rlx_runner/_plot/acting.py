"""Asking a policy for one action, whichever of the ways it offers that a sampler uses."""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, cast

import numpy as np

from rlx_runner._offers import method


def actor(policy: Any, seed: int) -> Callable[[Any], Any]:
    """Return `policy` as a function of one observation, at the beginning of an episode.

    Asked for in this order, as samplers do: ``get_actions(observations, *, rngs)``,
    ``get_action(observation, *, rng)``, ``get_action(observation)``, ``get_actions(observations)``.

    Raises:
        TypeError: If it offers none of them.
    """
    _reset(policy)
    rng = np.random.default_rng(seed)
    many, one = method(policy, "get_actions"), method(policy, "get_action")
    if many is not None and (one is None or _takes(many, "rngs")):
        noise: dict[str, Any] = {"rngs": [rng]} if _takes(many, "rngs") else {}
        return lambda observation: _map(_first, many(_map(_stack_one, observation), **noise)[0])
    if one is not None:
        keyed: dict[str, Any] = {"rng": rng} if _takes(one, "rng") else {}
        return lambda observation: _map(_as_array, one(observation, **keyed)[0])
    raise TypeError(
        f"{type(policy).__name__} is no policy: it has neither get_actions(observations, *, rngs) "
        f"nor get_action(observation), which return actions and a dict."
    )


def _reset(policy: Any) -> None:
    """Let a policy with memory begin an episode, in its one row where it has rows."""
    reset = method(policy, "reset")
    if reset is None:
        return
    try:
        inspect.signature(reset).bind(None)
    except (TypeError, ValueError):
        reset()
    else:
        reset(np.array([True]))


def _takes(function: Callable[..., Any], name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin that hides its parameters
        return False


def _map(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {name: _map(function, branch) for name, branch in cast("Mapping[str, Any]", tree).items()}
    if _is_tuple(tree):
        return tuple(_map(function, branch) for branch in tree)
    return function(tree)


def _is_tuple(tree: Any) -> TypeGuard[tuple[Any, ...]]:
    return isinstance(tree, tuple)


def _stack_one(leaf: Any) -> Any:
    return np.array(leaf)[None]


def _first(leaf: Any) -> Any:
    return _as_array(leaf)[0]


def _as_array(leaf: Any) -> Any:
    torch: Any = sys.modules.get("torch")
    return leaf.detach().cpu().numpy() if torch is not None and isinstance(leaf, torch.Tensor) else leaf
