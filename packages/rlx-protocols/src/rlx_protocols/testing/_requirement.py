"""How a check says that an implementation breaks the contract."""

from collections.abc import Callable
from typing import Any


class ConformanceError(AssertionError):
    """An implementation does not keep the contract; the message says which part, and what was seen."""


def require(kept: bool, rule: str, seen: object) -> None:
    """Raise unless `rule` was kept.

    Raises:
        ConformanceError: If it was not; names what was seen.
    """
    if not kept:
        raise ConformanceError(f"{rule}; seen: {seen!r}.")


def require_error(expected: type[Exception], rule: str, call: Callable[[], Any]) -> None:
    """Raise unless `call` raises `expected`.

    Raises:
        ConformanceError: If it returns or raises something else.
    """
    try:
        outcome: object = call()
    except expected:
        return
    except Exception as error:
        raise ConformanceError(f"{rule}; it raised {type(error).__name__}: {error}") from error
    raise ConformanceError(f"{rule}; it returned {outcome!r}.")
