"""Bounds and choices that a signature declares, as ``Annotated[int, Ge(1)]`` and ``Literal["a", "b"]``.

They are checked before a run begins. The markers are those of the annotated-types library (pydantic's ``PositiveInt`` and the like are made of them); whoever
uses one has imported it, so nothing is imported here.
"""

import operator
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rlx_experiment._arguments.fields import field_types, field_values
from rlx_experiment._arguments.signature import Function, declared_types

MAX_SEED: Final = 2**32 - 1
"""The largest seed that every generator takes; NumPy's is the narrowest."""
_COMPARISONS: Final[Mapping[str, tuple[str, Callable[[Any, Any], bool]]]] = {
    "gt": ("above", operator.gt),
    "ge": ("at least", operator.ge),
    "lt": ("below", operator.lt),
    "le": ("at most", operator.le),
}


def check_bounds(function: Function, arguments: Mapping[str, Any]) -> None:
    """Raise ValueError if one of `arguments` is outside of the bounds or choices that its annotation declares.

    Where annotations cannot be evaluated, as those that only type checkers import, nothing is checked.
    """
    try:
        annotations = declared_types(function)
    except ValueError:
        return
    _check_all(annotations, arguments, sys.modules.get("annotated_types"))


def _check_all(annotations: Mapping[str, Any], values: Mapping[str, Any], known: Any) -> None:
    for name, annotation in annotations.items():
        value = values.get(name)
        if value is None:
            continue
        _check_choice(name, value, annotation)
        _check_all(field_types(value.__class__), field_values(value), known)
        for key, bound in _declared_bounds(annotation, known) if known else ():
            words, holds = _COMPARISONS[key]
            if not holds(value, bound):
                raise ValueError(f"{name} is {value!r}; it must be {words} {bound!r}")


def _check_choice(name: str, value: object, annotation: Any) -> None:
    members = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    literals = [member for member in members if member is not types.NoneType]
    if not literals or any(typing.get_origin(member) is not typing.Literal for member in literals):
        return
    choices = [choice for literal in literals for choice in typing.get_args(literal)]
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")


def check_seed(arguments: Mapping[str, object]) -> None:
    """Raise ValueError if an argument `seed`, or a field of one, is an integer that no generator takes."""
    for name, seed in arguments.items():
        if name == "seed" and isinstance(seed, int) and not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed is {seed}; it must be from 0 to {MAX_SEED}")
        check_seed(field_values(seed))


def _declared_bounds(annotation: Any, known: Any) -> Iterator[tuple[str, Any]]:
    if _is_union(annotation):
        for member in typing.get_args(annotation):
            yield from _declared_bounds(member, known)
    elif typing.get_origin(annotation) is typing.Annotated:
        inner, *markers = typing.get_args(annotation)
        yield from _declared_bounds(inner, known)
        for marker in markers:
            yield from _bounds_of(marker, known)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _bounds_of(marker: Any, known: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(marker, known.GroupedMetadata):  # an interval, for one
        for single in marker:
            yield from _bounds_of(single, known)
    elif isinstance(marker, (known.Gt, known.Ge, known.Lt, known.Le)):
        import dataclasses

        yield from dataclasses.asdict(marker).items()
