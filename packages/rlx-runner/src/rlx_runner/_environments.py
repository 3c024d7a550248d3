"""Environments that cannot be saved as they are, such as those of Box2D: they are built again from their specs."""

import operator
import sys
from dataclasses import dataclass
from typing import Any

from rlx_runner._offers import offered
from rlx_snapshot import UnpicklableStateError, exact_copy, exact_dumps


@dataclass(frozen=True)
class Savable:
    """What of an environment goes into a snapshot.

    Args:
        env: The environment, or what loads as one that is built again inside the same wrappers.
        rebuilt: The id of the spec it is built from; None where it is saved as it is.
    """

    env: Any
    rebuilt: str | None = None


def savable(env: Any) -> Savable:
    """Return what of `env`, or of a list of one a worker, can be saved."""
    try:
        exact_dumps(env)
    except UnpicklableStateError:
        return _rebuilding(env)
    return Savable(env)


def copy_of(env: Any) -> Any:
    """Return a copy of `env` in exactly its present state; one built from its spec where it cannot be copied.

    Raises:
        UnpicklableStateError: If it can neither be copied nor built.
    """
    return exact_copy(savable(env).env)


def _rebuilding(env: Any) -> Savable:
    if isinstance(env, list):
        each = [savable(one) for one in env]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return Savable([one.env for one in each], next((one.rebuilt for one in each if one.rebuilt), None))
    layers = [env]
    while (inner := _inside(layers[-1])) is not None:
        layers.append(inner)
    spec = offered(layers.pop(), "spec")
    if spec is None:
        return Savable(env)
    replaced: Any = _Rebuilt(spec)
    for wrapper in reversed(layers):
        replaced = _around(wrapper, replaced)
    return Savable(replaced, str(spec.id))


def _inside(env: Any) -> Any:
    """Return what `env` wraps, None where it is no wrapper."""
    attributes: dict[str, Any] | None = offered(env, "__dict__")
    return None if attributes is None else attributes.get("env")


def _around(wrapper: Any, env: Any) -> Any:
    """Return `wrapper` as it is, around another environment."""
    copied = object.__new__(wrapper.__class__)
    vars(copied).update({**vars(wrapper), "env": env})  # pyright: ignore[reportUnknownMemberType]
    return copied


class _Rebuilt:
    """Loads as the innermost environment that is made from a spec; a snapshot names nothing of ours."""

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.attrgetter("unwrapped"), (_Made(self._spec),)


class _Made:
    """Loads as what the library of a spec makes of it."""

    def __init__(self, spec: Any) -> None:
        self._spec = spec

    def __reduce__(self) -> tuple[Any, ...]:
        library = sys.modules[type(self._spec).__module__.partition(".")[0]]
        return vars(library)["make"], (self._spec,)
