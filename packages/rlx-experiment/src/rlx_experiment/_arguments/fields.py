"""Arguments that are objects with fields, as a dataclass of hyperparameters, seen field by field."""

import json
import sys
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, cast

_SHOWN_AS_LAST_PART: Final = ("$enum", "$function", "$typename", "$type")
"""Markers of `LogEncoder` whose value is a dotted name."""


def field_types(kind: object) -> dict[str, Any]:
    """Return names and declared types of the fields that a dataclass, attrs class or pydantic model is made with.

    Empty for any other class, and where a type is named that the program does not import.
    """
    if not isinstance(kind, type):
        return {}
    names = _field_names(kind)
    if not names:
        return {}
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except NameError:
        return {}
    return {name: hints.get(name, Any) for name in names}


def field_values(value: object) -> dict[str, Any]:
    """Return the fields of an object that has some, by name; empty for any other value."""
    values: dict[str, Any] = {}
    for name in field_types(type(value)):
        with suppress(AttributeError):  # one that was never set
            values[name] = getattr(value, name)
    return values


def _field_names(kind: type) -> list[str]:
    import dataclasses

    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.init]
    attr, pydantic = sys.modules.get("attr"), sys.modules.get("pydantic")
    if attr is not None and attr.has(kind):
        return [field.name for field in attr.fields(kind) if field.init]
    if pydantic is not None and issubclass(kind, pydantic.BaseModel):
        return list(cast("Any", kind).model_fields)
    return []


def flatten(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return recorded arguments with an entry for each field of those that are objects or dictionaries.

    A field of an object has its own name, as its command line flag has, unless another argument or field is called so;
    then, and in a dictionary, the argument's name and a dot come first.
    """
    entries = [entry for name, value in arguments.items() for entry in _walk((name,), value)]
    short = [path[1:] if is_object(arguments[path[0]]) and len(path) > 1 else path for path, _ in entries]
    taken = Counter(short)
    return {
        ".".join(own if taken[own] == 1 else path): value
        for (path, value), own in zip(entries, short, strict=True)
    }


def _walk(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    fields = _parts(value)
    if not fields:
        yield path, value
    for name, inner in fields.items():
        yield from _walk((*path, name), inner)


def _parts(value: object) -> Mapping[str, Any]:
    """Return the entries of a recorded object or dictionary; empty for what stands for itself."""
    if not isinstance(value, Mapping):
        return {}
    entries = cast("Mapping[str, Any]", value)
    if is_object(entries):
        return {name: inner for name, inner in entries.items() if name != "$type"}
    return {} if any(name.startswith("$") for name in entries) else entries


def is_object(value: object) -> bool:
    """Return whether a recorded value is that of an object with fields; a large array is none."""
    return isinstance(value, Mapping) and "$type" in value and "sha256" not in value


def differing_arguments(arguments: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the arguments that are not the same in all of `arguments`."""
    values: dict[str, set[str]] = {}
    for one in arguments:
        for key, value in one.items():
            values.setdefault(key, set()).add(identity(value))
    return [key for key, seen in values.items() if len(seen) > 1]


def identity(value: object) -> str:
    """Return a text that two recorded values share if they are equal: 1 and 1.0, but neither 1 and "1" nor 1 and True."""
    return repr(int(value)) if isinstance(value, float) and value.is_integer() else repr(value)


def is_seed(name: str) -> bool:
    """Return whether an argument or field called `name` is the seed, by which the runs of a group differ."""
    return name.rpartition(".")[2] == "seed"


def seed_of(arguments: Mapping[str, Any]) -> Any:
    """Return the seed among flattened arguments; None without one."""
    return next((value for name, value in arguments.items() if is_seed(name)), None)


def as_text(value: object) -> str:
    """Return a recorded value for people."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and len(cast("Mapping[str, Any]", value)) == 1:
        ((marker, inner),) = cast("Mapping[str, Any]", value).items()
        if marker in _SHOWN_AS_LAST_PART:
            return str(inner).rpartition(".")[2]
        if marker in ("$float", "$secret"):
            return str(inner) if marker == "$float" else "***"
    return json.dumps(value)
