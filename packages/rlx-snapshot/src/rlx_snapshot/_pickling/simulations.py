"""MuJoCo simulations in an environment, and arrays of it that show their memory.

MuJoCo pickles a simulation whole. But ``data.body("pad").xpos`` is no copy: an environment
that keeps it sees the body move, and so must one that is loaded.
"""

import operator
import sys
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, attributes_of, class_of

_SIMULATIONS: Final = frozenset({"MjData", "MjModel"})


def simulations_in(attributes: dict[str, Any]) -> list[Any]:
    """The simulations, and their models, among an environment's attributes."""
    return [
        value
        for value in attributes.values()
        if class_of(value).__name__ in _SIMULATIONS and class_of(value).__module__.startswith("mujoco.")
    ]


def with_views(attributes: dict[str, Any]) -> dict[str, Any]:
    """`attributes`, of which arrays that show a simulation's memory are written as that."""
    simulations = simulations_in(attributes)
    if not simulations:
        return attributes
    array = attributes_of(sys.modules["numpy"])["ndarray"]
    views = {
        name: _view(value, simulations, array)
        for name, value in attributes.items()
        if type(value) is array and not value.flags.owndata
    }
    return {**attributes, **views}


def _view(shown: Any, simulations: list[Any], array: Any) -> Any:
    """How to make `shown` from one of the simulations; `shown` itself where it is of none."""
    start = shown.ctypes.data
    for simulation in simulations:
        for name in dir(simulation):
            field: Any = None if name.startswith("_") else getattr(simulation, name)
            if type(field) is array and field.flags.c_contiguous:
                offset = start - field.ctypes.data
                if offset >= 0 and offset + shown.nbytes <= field.nbytes:
                    buffer = Call(operator.attrgetter(name), simulation)
                    return Call(array, shown.shape, shown.dtype, buffer, offset, shown.strides)
    return shown
