"""The names by which every NumPy from 1.26 on finds a class that a pickle refers to."""

import importlib
import operator
import sys
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced

_PUBLIC_EVERYWHERE: Final = frozenset({"numpy", "numpy.random", "numpy.ma", "numpy.linalg", "numpy.dtypes"})
_HOMES: Final = ("random", "rec", "char", "ma", "")
_SCALARS_OF_TWO: Final = frozenset({"bool", "long", "ulong"})
"""Scalar classes that NumPy 2 calls by names which 1.26 does not have."""


def numpy_name(cls: Any) -> Reduced | None:
    """How to refer to a class of NumPy whose own name is private or new; None where that name will do."""
    if cls.__module__ == "numpy" and cls.__name__ in _SCALARS_OF_TWO:
        return operator.attrgetter("type"), (sys.modules["numpy"].dtype(cls),)
    if cls.__module__ in _PUBLIC_EVERYWHERE or not cls.__module__.startswith("numpy."):
        return None
    for home in _HOMES:
        name: str = cls.__name__
        if _members(home).get(name) is cls:
            path = f"{home}.{name}".lstrip(".")
            return operator.attrgetter(path), (Call(importlib.import_module, "numpy"),)
    return None


def _members(home: str) -> dict[str, object]:
    """What a submodule of NumPy holds, nothing if it is not loaded."""
    module = sys.modules.get(f"numpy.{home}".rstrip("."))
    return {} if module is None else vars(module)
