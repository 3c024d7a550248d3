"""Recorded arguments back from JSON, as the types that a signature declares."""

import base64
import enum
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, Literal, Union, cast

from rlx_experiment._arguments.fields import field_types


def from_json(value: Any, annotation: Any) -> Any:
    """Return what `LogEncoder` recorded as `value`, given the declared type.

    Raises:
        ValueError: The record does not hold enough to build it again.
    """
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return from_json(value, typing.get_args(annotation)[0])
    if isinstance(value, Mapping) and any(
        str(key).startswith("$") for key in cast("Mapping[str, Any]", value)
    ):
        return _from_marker(cast("Mapping[str, Any]", value), annotation)
    if value is None or origin is Literal:
        return cast("object", value)
    if origin in (Union, types.UnionType):
        return _from_union(value, typing.get_args(annotation))
    if isinstance(value, list):
        return _from_list([*value], origin or annotation, typing.get_args(annotation))
    if isinstance(value, Mapping):
        inner = (*typing.get_args(annotation), Any, Any)[1]
        return {key: from_json(item, inner) for key, item in cast("Mapping[str, Any]", value).items()}
    return _from_scalar(value, annotation)


def _from_scalar(value: Any, annotation: Any) -> Any:
    if annotation is float and type(value) is int:
        return float(value)
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return annotation(value)
    if (
        isinstance(annotation, type)
        and annotation in (int, float, str, bool)
        and type(value) is not annotation
    ):
        raise ValueError(f"recorded value {value!r} is no {annotation.__name__}")
    return value


def _from_union(value: Any, members: tuple[Any, ...]) -> Any:
    for member in members:
        try:
            return from_json(value, member)
        except ValueError:
            continue
    raise ValueError(f"recorded value {value!r} fits none of {members}")


def _from_list(values: list[Any], kind: Any, members: tuple[Any, ...]) -> Any:
    if _is_named_tuple(kind):
        hints = typing.get_type_hints(kind).values()
        return kind(*map(from_json, values, hints) if hints else values)
    if kind not in (list, tuple, set, frozenset, Any) and not isinstance(kind, type):
        raise ValueError(f"recorded value {values!r} is no {kind}")
    if kind is tuple and members and members[-1] is not Ellipsis:
        return tuple(from_json(value, member) for value, member in zip(values, members, strict=True))
    inner = members[0] if members else Any
    items = [from_json(value, inner) for value in values]
    containers: dict[Any, Callable[[list[Any]], Any]] = {tuple: tuple, set: set, frozenset: frozenset}
    return containers.get(kind, list)(items)


def _is_named_tuple(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, tuple) and cast("object", kind) is not tuple


def _from_marker(record: Mapping[str, Any], annotation: Any) -> Any:
    if "$float" in record:
        return float(record["$float"])
    if "$bytes" in record:
        return base64.b64decode(record["$bytes"])
    for kind in (annotation, *typing.get_args(annotation)):
        if not isinstance(kind, type):
            continue
        if "$enum" in record and issubclass(kind, enum.Enum):
            return kind[str(record["$enum"]).rpartition(".")[2]]
        fields = field_types(kind)
        if "$type" in record and fields:
            made = cast("Callable[..., Any]", kind)
            return made(
                **{key: from_json(item, fields[key]) for key, item in record.items() if key in fields}
            )
    raise ValueError(f"{next(iter(record))} cannot be built again from its record")
