"""The one place that looks at what a foreign object offers."""

from collections.abc import Mapping
from typing import Any, cast

from rlx_persistence._world import HasAlgorithm, HasPolicy, World


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
    """Return ``policy.state_dict()``, or None where the policy has no such method."""
    try:
        method = cast("Any", policy).state_dict
    except AttributeError:
        return None
    state: Mapping[str, object] = method()
    return state


def shape_of(value: object) -> tuple[int, ...] | None:
    """Return the shape of an array or a tensor, None for everything else."""
    try:
        return tuple(cast("Any", value).shape)
    except (AttributeError, TypeError, RuntimeError):  # torch's lazy parameters raise RuntimeError
        return None
