"""Single numbers of NumPy, torch and JAX as Python's own, which every function and every record takes."""

import sys
import typing
from collections.abc import Mapping
from typing import Any, Final

from rlx_experiment._arguments.signature import Function, declared_types

_LIBRARIES: Final = frozenset({"numpy", "torch", "jax", "jaxlib"})


def with_plain_scalars(function: Function, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return `arguments` with NumPy's scalars, and arrays and tensors of no dimension, as Python's values.

    One whose parameter declares a type of its library is left as it is.
    """
    plain = {name: plain_scalar(value) for name, value in arguments.items()}
    changed = [name for name, value in arguments.items() if plain[name] is not value]
    if not changed:
        return plain
    try:
        declared = declared_types(function)
    except ValueError:
        declared = {}
    kept = {name: arguments[name] for name in changed if _names_a_library(declared.get(name))}
    return plain | kept


def plain_scalar(value: Any) -> Any:
    """Return a scalar of an array library as Python's bool, int, float, complex or str; anything else as it is."""
    if _library(value.__class__) not in _LIBRARIES:
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.number, numpy.bool_, numpy.str_)):
        return value.item()
    array: Any = value
    try:
        return array.item() if array.ndim == 0 and _is_constant(array) else value
    except AttributeError:  # a function, a class, a data type
        return value


def _is_constant(value: Any) -> bool:
    """Return whether an array can be read now and needs no gradient: no parameter, no tracer, nothing without data."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return not value.requires_grad and not value.is_meta
    numpy = sys.modules.get("numpy")
    kind = "" if numpy is None else numpy.dtype(value.dtype).kind
    return kind in "biufcU"


def _library(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _names_a_library(annotation: Any) -> bool:
    kinds = typing.get_args(annotation) or (annotation,)
    return any(isinstance(kind, type) and _library(kind) in _LIBRARIES for kind in kinds)
