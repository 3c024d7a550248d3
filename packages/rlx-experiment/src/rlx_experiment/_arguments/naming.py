"""What a run is called: the experiment's name, with parameters in it where that is wanted."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from rlx_experiment._secrets import is_secret_argument

NameParameters = Literal["all", "passed"]

_LONGEST: Final = 200
"""Bytes; most file systems stop at 255, and `_123` and temporary names need room."""
_HOSTILE: Final = frozenset('/\\:*?"<>|\0\n\r\t')


def check_name_parameters(value: object) -> None:
    """Raise ValueError unless `value` is None, 'all' or 'passed'."""
    if value not in (None, "all", "passed"):
        raise ValueError(f"name_parameters should be None, 'all' or 'passed', not {value!r}")


def run_name(
    name: str,
    name_parameters: str | None,
    *,
    declared: Iterable[str],
    passed: Mapping[str, object],
    arguments: Mapping[str, object],
) -> str:
    """Return the folder name of a run: `name`, then ``_key=value`` for each parameter that is to be named and no secret.

    Args:
        name: The experiment's own name.
        name_parameters: None for no parameters, 'passed' for those in `passed`, 'all' for all `arguments`.
        declared: Names of the parameters in the order of the function's definition.
        passed: What the caller gave.
        arguments: The same with defaults filled in.
    """
    check_name_parameters(name_parameters)
    named: Mapping[str, object] = {}
    if name_parameters is not None:
        source = passed if name_parameters == "passed" else arguments
        named = {
            key: source[key] for key in declared if key in source and not is_secret_argument(key, source[key])
        }
    return safe_name("_".join([name, *(f"{key}={value}" for key, value in named.items())]))


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
