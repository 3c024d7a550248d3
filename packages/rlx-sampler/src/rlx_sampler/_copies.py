"""Own copies of the policies and environments that a caller hands in.

A sampler never works on the caller's own objects: what an algorithm does to its policy
between two calls, or a runner to its environment, must not reach an episode.
"""

from typing import Any, TypeVar

import cloudpickle

from rlx_sampler._unfindable import unfindable_by_value

ThingT = TypeVar("ThingT")


def packed(thing: object, role: str) -> bytes:
    """Return `thing` pickled.

    Raises:
        TypeError: If it cannot be pickled.
    """
    try:
        with unfindable_by_value():
            return bytes(cloudpickle.dumps(thing))  # pyright: ignore[reportUnknownMemberType]  # untyped library
    except Exception as error:
        way_out = ": pass a function that builds it" if role == "environment" else ""
        raise TypeError(
            f"the {role} {type(thing).__name__} cannot be copied for a worker, because it cannot be "
            f"pickled ({error}){way_out}."
        ) from error


def copy_of(thing: ThingT, role: str) -> ThingT:
    """Return an independent copy of `thing`; `role` names it in the error."""
    twin: ThingT = unpacked(packed(thing, role))
    return twin


def unpacked(data: bytes) -> Any:
    """Return what `packed` was given."""
    return cloudpickle.loads(data)
