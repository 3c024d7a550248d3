"""The one place that looks at what a foreign object offers."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from rlx_persistence._jax import is_tree, tree_state
from rlx_persistence._world import HasAlgorithm, HasPolicy, World

STATISTICS: Final = ("mean", "var", "count")
_HOLDERS: Final = ("obs_rms", "ret_rms", "return_rms")  # Stable-Baselines3 and gymnasium


def policy_of(world: World) -> object:
    """Return what is in training in `world`: its algorithm, else its policy.

    Raises:
        ValueError: If the world knows neither.
    """
    try:
        return cast("HasAlgorithm", world).algorithm
    except AttributeError:
        pass
    try:
        policy = cast("HasPolicy", world).policy
    except AttributeError:
        policy = None
    if policy is None:
        raise ValueError(f"{world!r} has no policy: build it with one, e.g. FolderWorld(..., policy=policy)")
    return policy


def state_dict_of(policy: object) -> Mapping[str, object] | None:
    """Return ``policy.state_dict()`` or the arrays of a JAX policy; None where the policy has neither."""
    try:
        method = cast("Any", policy).state_dict
    except AttributeError:
        return tree_state(policy) if is_tree(policy) else None
    state: Mapping[str, object] = method()
    return state


def load_state_dict_of(policy: object) -> Callable[[Mapping[str, object]], object] | None:
    """Return ``policy.load_state_dict``, or None where the policy has no such method."""
    return _method(policy, "load_state_dict")


def set_state_of(value: object) -> Callable[[object], object] | None:
    """Return ``value.__setstate__``, or None where the object has no such method."""
    return _method(value, "__setstate__")


def statistics_of(normalizer: object) -> dict[str, tuple[object, str]]:
    """Return where a normaliser keeps its statistics: owner and attribute, by name.

    Its own mean, var and count where it has them; else those of each object of
    statistics that it holds, as gymnasium's and Stable-Baselines3's wrappers do.
    """
    if _has(normalizer, "mean"):
        return {name: (normalizer, name) for name in STATISTICS}
    found: dict[str, tuple[object, str]] = {}
    for holder in _HOLDERS:
        if _has(normalizer, holder):
            held: object = getattr(normalizer, holder)
            parts = cast("dict[str, object]", held) if isinstance(held, dict) else {"": held}
            for key, part in parts.items():
                prefix = f"{holder}.{key}." if key else f"{holder}."
                found |= {prefix + name: (part, name) for name in STATISTICS if _has(part, name)}
    return found


def shape_of(value: object) -> tuple[int, ...] | None:
    """Return the shape of an array or a tensor, None for everything else."""
    try:
        return tuple(cast("Any", value).shape)
    except (AttributeError, TypeError, RuntimeError):  # torch's lazy parameters raise RuntimeError
        return None


def _has(value: object, name: str) -> bool:
    try:
        getattr(value, name)
    except AttributeError:
        return False
    return True


def _method(value: object, name: str) -> Callable[..., object] | None:
    return getattr(value, name) if _has(value, name) else None
