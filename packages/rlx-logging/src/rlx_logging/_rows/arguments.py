"""The arguments of a run in the form they are logged in."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, Final, TypeAlias, cast

from rlx_logging._rows.arrays import as_array
from rlx_logging._rows.numbers import exact_number
from rlx_logging._rows.values import is_mapping, leaves

Argument: TypeAlias = "str | float | tuple[Argument, ...] | dict[str, Argument] | None"
_DEEPEST: Final = 20
_MOST_ELEMENTS: Final = 1000
_EXACT: Final = 2**63


def plain_arguments(arguments: object) -> dict[str, Argument]:
    """Return the arguments of a run as texts, plain numbers, None, and tuples and dicts of those.

    Records become dicts, arrays and lists tuples; a whole number beyond 64 bits becomes
    its text, and everything else its repr.

    Raises:
        TypeError: If they are no mapping.
    """
    if not is_mapping(arguments):
        raise TypeError(
            f"the arguments of a run must map names to values; got {arguments!r}. A parser's are vars(arguments)."
        )
    return _plain_items(arguments, 0)


def flat_arguments(arguments: Mapping[str, Argument]) -> dict[str, str | float]:
    """Return plain arguments under keys joined by ``/``, what is no number as text."""
    return {
        key: value if isinstance(value, (str, int, float)) else repr(value)
        for key, value in leaves(arguments)
    }


def _plain_items(items: Mapping[Any, Any], depth: int) -> dict[str, Argument]:
    return {_text(str(key)): _plain(value, depth + 1) for key, value in items.items()}


def _plain(value: Any, depth: int) -> Argument:
    if value is None or depth > _DEEPEST:
        return None if value is None else _described(value)
    if isinstance(value, str):
        return _text(value.value if isinstance(value, Enum) else str(value))
    number = exact_number(value)
    if number is not None:
        return number if not isinstance(number, int) or abs(number) < _EXACT else _described(number)
    if (items := _items_of(value)) is not None:
        return _plain_items(items, depth)
    if (elements := _elements_of(value)) is not None:
        return tuple(_plain(element, depth + 1) for element in elements)
    return _described(value)


def _items_of(value: Any) -> Mapping[Any, Any] | None:
    """Return the members of a record."""
    if is_mapping(value):
        return value
    if isinstance(value, argparse.Namespace):
        return vars(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


def _elements_of(value: Any) -> tuple[Any, ...] | None:
    if isinstance(value, (list, tuple)):
        return tuple(cast("list[Any]", value))
    array = as_array(value)
    return tuple(array.tolist()) if array is not None and array.size <= _MOST_ELEMENTS else None


def _described(value: Any) -> str:
    """Return what stands for a value that has no form of its own."""
    try:
        if isinstance(value, (Enum, PurePath)):
            return _text(str(value))
        return _text(hex(value) if isinstance(value, int) and value.bit_length() > 10_000 else repr(value))
    except Exception:  # noqa: BLE001 - a foreign repr may raise anything
        return f"<{type(value).__name__}>"


def _text(text: str) -> str:
    """Return a text that can be encoded, a lone surrogate as its escape."""
    return text.encode("utf-8", "backslashreplace").decode()
