"""Arguments of the wrong kind, refused where they are given: the message has the name, the value and the way out."""

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any


def check_text(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is text or None."""
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}; it must be text, or None for the default")


def check_path(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is the path of a folder."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} is {value!r}; it must be the path of a folder")


def check_mapping(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is a mapping or None."""
    if value is not None and not isinstance(value, Mapping):
        raise TypeError(f"{name} is {value!r}; it must be a dictionary, or None")


def check_count(name: str, value: Any, *, at_least: int) -> None:
    """Raise TypeError unless `value` is a whole number, ValueError if it is below `at_least`."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a whole number") from None
    if number < at_least:
        raise ValueError(f"{name} is {value!r}; it must be at least {at_least}")


def check_values(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is several values."""
    if not isinstance(value, Iterable):
        raise TypeError(f"{name} is {value!r}; it must be a list of values, such as [{value!r}]")
