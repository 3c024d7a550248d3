"""Arguments that cannot work, refused where they are given: the message has the name, the value and the way out."""

import inspect
import operator
import os
from collections.abc import Mapping
from numbers import Real
from typing import Any

from rlx_runner._offers import offered


def check_count(name: str, value: Any, *, least: int) -> None:
    """Check that `value` is a whole number of at least `least`.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is too small.
    """
    number = check_whole(name, value)
    if number < least:
        raise ValueError(f"{name} is {number}; it must be at least {least}.")


def check_whole(name: str, value: Any) -> int:
    """Return `value` as an int.

    Raises:
        TypeError: If it is no whole number.
    """
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a whole number.") from None


def check_positive(name: str, value: Any) -> None:
    """Check that `value` is a number above zero.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is zero, negative or not a number at all.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; it must be a number.")
    if not float(value) > 0:
        raise ValueError(f"{name} is {value}; it must be positive.")


def check_kind(name: str, value: Any, kind: type, such_as: str) -> None:
    """Check that `value` is a `kind` or None.

    Raises:
        TypeError: If it is something else; `such_as` says how to write what would do.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} is {value!r}; pass {such_as}, or None.")


def check_offers(name: str, value: Any, members: tuple[str, ...], such_as: str) -> None:
    """Check that `value` has `members`.

    Raises:
        TypeError: If one is missing; `such_as` says what would do.
    """
    missing = [member for member in members if offered(value, member) is None]
    if missing:
        raise TypeError(f"{name} is {value!r}, which has no {', '.join(missing)}; pass {such_as}.")


def check_object(name: str, value: Any) -> None:
    """Check that `value` is not the class of what is meant.

    Raises:
        TypeError: If it is a class.
    """
    if inspect.isclass(value):
        raise TypeError(f"{name} is the class {value.__name__}; pass an object of it.")


def check_function(name: str, value: Any, such_as: str) -> None:
    """Check that `value` can be called, or is None.

    Raises:
        TypeError: If it cannot; `such_as` says what would do.
    """
    if value is not None and not callable(value):
        raise TypeError(f"{name} is {value!r}; it must be {such_as}, or None.")


def check_path(name: str, value: Any) -> str:
    """Return `value`, the path of a folder, as text.

    Raises:
        TypeError: If it is no path.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} is {value!r}; it must be the path of a folder.")
    return os.fspath(value)


def check_arguments(name: str, value: Any) -> None:
    """Check that `value` holds keyword arguments, or is None.

    Raises:
        TypeError: If it is something else than a dict.
    """
    if value is not None:
        check_mapping(name, value, "a dict of keyword arguments")


def check_mapping(name: str, value: Any, such_as: str) -> None:
    """Check that `value` is a mapping.

    Raises:
        TypeError: If it is none; `such_as` says what would do.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is {value!r}; it must be {such_as}.")
