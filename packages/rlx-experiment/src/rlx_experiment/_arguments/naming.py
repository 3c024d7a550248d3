"""What a run is called: the experiment's name, with parameters in it where that is wanted."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, Literal

from rlx_experiment._arguments.encoder import to_plain
from rlx_experiment._arguments.fields import as_text, flatten, is_object, is_seed
from rlx_experiment._secrets import public_arguments

NameParameters = Literal["all", "passed"]

_LONGEST: Final = 200
"""Bytes; most file systems stop at 255, and `_123` and temporary names need room."""
_HOSTILE: Final = frozenset('/\\:*?"<>|\0\n\r\t')
_AWKWARD: Final = re.compile(r"[\s\"'()\[\]{}]+")
"""What a shell needs quotes for."""
_SECRET: Final = "***"


def check_name_parameters(value: object) -> None:
    """Raise ValueError unless `value` is None, 'all' or 'passed'."""
    if value not in (None, "all", "passed"):
        raise ValueError(f"name_parameters is {value!r}; it must be None, 'all' or 'passed'")


def run_name(
    name: str,
    name_parameters: str | None,
    *,
    declared: Iterable[str],
    passed: Mapping[str, object],
    arguments: Mapping[str, object],
    defaults: Mapping[str, object] | None = None,
    also: Collection[str] = (),
) -> str:
    """Return the folder name of a run: `name`, then ``_key=value`` for each parameter that is to be named and no secret.

    Of an object with fields, such as a dataclass, each field is a parameter; those that the caller passed are the seed
    and those that differ from the default.

    Args:
        name: The experiment's own name.
        name_parameters: None for no parameters, 'passed' for those in `passed`, 'all' for all `arguments`.
        declared: Names of the parameters in the order of the function's definition.
        passed: What the caller gave.
        arguments: The same with defaults filled in.
        defaults: The parameters' defaults.
        also: Fields that are named even where they have their default.
    """
    check_name_parameters(name_parameters)
    if name_parameters is None:
        return safe_name(name)
    source = passed if name_parameters == "passed" else arguments
    ordered = {key: source[key] for key in declared if key in source}
    named = named_values(ordered)
    if name_parameters == "passed":
        named = {key: named[key] for key in _chosen(ordered, defaults or {}, also) if key in named}
    return safe_name("_".join([name, *(f"{key}={value}" for key, value in named.items())]))


def named_values(arguments: Mapping[str, object]) -> dict[str, str]:
    """Return `arguments`, flattened, as they stand in names; credentials are left out."""
    plain: dict[str, Any] = to_plain(public_arguments(arguments))
    texts = {key: _text(value) for key, value in flatten(plain).items()}
    return {key: _AWKWARD.sub("-", text).strip("-") for key, text in texts.items() if text != _SECRET}


def _chosen(passed: Mapping[str, object], defaults: Mapping[str, object], also: Collection[str]) -> list[str]:
    """Return the names of what was passed, in order: of an object its seed, what differs from the default, and `also`."""
    plain: dict[str, Any] = to_plain(public_arguments(passed))
    usual = flatten(to_plain({key: defaults.get(key, _made_plainly(value)) for key, value in passed.items()}))
    objects = {key for key, value in plain.items() if is_object(value)}
    whole = set(flatten({key: value for key, value in plain.items() if key not in objects}))
    return [
        key
        for key, value in flatten(plain).items()
        if key in whole or is_seed(key) or key in also or key not in usual or usual[key] != value
    ]


def _made_plainly(value: object) -> object:
    """Return an object of the same class with its own defaults, for one whose parameter has none; None if there is none."""
    kind = type(value)
    if kind.__module__ == "builtins":
        return None
    try:
        return kind()
    except Exception:  # noqa: BLE001 - whatever a class does that needs more than nothing
        return None


def _text(value: Any) -> str:
    """Return a recorded value without spaces and brackets where it can be read without them."""
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)  # pyright: ignore[reportUnknownVariableType]
    return str(value) if value is None or isinstance(value, bool) else as_text(value)


def safe_name(name: str) -> str:
    """Return `name` as one path component: separators become ``-``, a long name is cut and ends in its hash."""
    clean = "".join("-" if char in _HOSTILE else char for char in name)
    if clean in ("", ".", ".."):
        clean = f"run{clean.replace('.', '-')}"
    encoded = clean.encode("utf-8", "surrogateescape")
    if len(encoded) <= _LONGEST and clean == name:
        return clean
    import hashlib

    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:10]
    head = encoded[: _LONGEST - 11].decode("utf-8", "ignore")
    return f"{head}-{digest}"
