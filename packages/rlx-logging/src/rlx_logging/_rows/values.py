"""The values of a row and the arguments of a run, brought into the form they are logged in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from numbers import Real
from typing import Any, Final, TypeGuard

from rlx_logging._offers import shape_of
from rlx_logging._rows.arrays import as_array
from rlx_logging._rows.numbers import BUILTIN_NUMBERS, as_number

_NAMES: Final = frozenset({str})


def as_value(value: object, *, one_is_number: bool) -> Any:
    """Return a number or an array as it is logged, None for everything else.

    Args:
        value: What was given.
        one_is_number: Take an array of one element for the number it holds.
    """
    number = as_number(value)
    if number is not None and (one_is_number or not shape_of(value)):
        return number
    array = as_array(value)
    return number if array is None or (one_is_number and array.size == 1) else array


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether `value` is a mapping."""
    try:
        return isinstance(value, Mapping)
    except Exception:  # noqa: BLE001 - the class of a foreign proxy may raise anything
        return False


def flatten(
    data: Mapping[Any, Any],
    *,
    prefix: str = "",
    delimiter: str = "/",
    exclude_arrays: bool = True,
    left_out: Callable[[str, object], None] = lambda _key, _value: None,
) -> dict[str, Any]:
    """Return the loggable values of a nested mapping under joined keys; `left_out` hears of the others.

    An array of one element is a number where arrays are excluded, an array where they are not.

    Raises:
        ValueError: If two of the joined keys are the same.
    """
    if (
        not prefix
        and BUILTIN_NUMBERS.issuperset(map(type, data.values()))
        and _NAMES.issuperset(map(type, data))
    ):
        return dict(data)
    flat: dict[str, Any] = {}
    for key, value in apart(leaves(data, prefix, delimiter)):
        found = as_number(value) if exclude_arrays else as_value(value, one_is_number=False)
        if found is not None:
            flat[key] = found
        elif not exclude_arrays or as_value(value, one_is_number=True) is None:
            left_out(key, value)
    return flat


def leaves(
    data: Mapping[Any, Any], prefix: str = "", delimiter: str = "/", above: tuple[object, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield the values of a nested mapping under joined keys; a mapping inside itself is a value."""
    for key, value in data.items():
        name = f"{prefix}{delimiter}{key}" if prefix else str(key)
        nested = None if type(value) is float else _as_dict(value)
        if nested is None or any(value is mapping for mapping in (data, *above)):
            yield name, value
        else:
            yield from leaves(nested, name, delimiter, (data, value, *above))


def apart(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield `named`, so that no value takes another's place.

    Raises:
        ValueError: If two have one name.
    """
    seen: set[str] = set()
    for name, value in named:
        if name in seen:
            raise ValueError(f"keys are spelled alike when logged: {[name]}; rename one.")
        seen.add(name)
        yield name, value


def _as_dict(value: object) -> dict[Any, Any] | None:
    """Return a mapping as a dict, None for what is none or cannot be read."""
    try:
        return dict(value.items()) if not isinstance(value, Real) and is_mapping(value) else None
    except Exception:  # noqa: BLE001 - a foreign mapping may raise anything
        return None
