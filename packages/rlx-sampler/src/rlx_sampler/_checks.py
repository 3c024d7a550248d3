"""Arguments that are checked in more than one place."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

from rlx_protocols import WorkerFactory


def whole_number(name: str, value: Any, *, at_least: int) -> int:
    """Return `value` as an integer; a float such as 1e4 is one too.

    Raises:
        TypeError: If it is no whole number.
        ValueError: If it is below `at_least`.
    """
    try:
        number = int(value)
        is_whole = not isinstance(value, str | bytes | bool) and number == value
    except (TypeError, ValueError, OverflowError):  # no number, not a number, infinite
        is_whole, number = False, 0
    if not is_whole:
        raise TypeError(f"{name} is {value!r}; it must be a whole number.")
    if number < at_least:
        raise ValueError(f"{name} is {value}; it must be at least {at_least}.")
    return number


def positive_seconds(name: str, value: Any) -> float:
    """Return `value` as a number of seconds; infinity is one too.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not positive.
    """
    try:
        seconds = None if isinstance(value, str | bytes) else float(value)
    except TypeError:
        seconds = None
    if seconds is None:
        raise TypeError(f"{name} is {value!r}; it must be a number of seconds.")
    if not seconds > 0:
        raise ValueError(f"{name} is {value}; it must be a positive number of seconds.")
    return seconds


def positive_number(name: str, value: Any) -> float:
    """Return `value`.

    Raises:
        TypeError: If it is no number.
        ValueError: If it is not positive.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{name} is {value!r}; it must be a number.")
    number = float(value)
    if not number > 0:
        raise ValueError(f"{name} is {value}; it must be positive.")
    return number


def function(name: str, value: Any, such_as: str) -> Any:
    """Return `value`.

    Raises:
        TypeError: If it cannot be called; `such_as` says what would do.
    """
    if not callable(value):
        raise TypeError(f"{name} is {value!r}; it must be {such_as}.")
    return value


def all_of(name: str, values: Any, kind: type, such_as: str) -> Sequence[Any]:
    """Return `values` as a sequence.

    Raises:
        TypeError: If they are not several, or one is no `kind`; `such_as` says what would do.
    """
    try:
        several: Sequence[Any] = tuple(values)
    except TypeError:
        raise TypeError(f"{name} is {values!r:.200}; it must be a list of {such_as}.") from None
    wrong = next((each for each in several if not isinstance(each, kind)), None)
    if wrong is not None:
        raise TypeError(f"{name} holds {wrong!r:.200}; all must be {such_as}.")
    return several


def worker_factory(value: Any) -> WorkerFactory:
    """Return `value`.

    Raises:
        TypeError: If it is no worker factory.
    """
    if not isinstance(value, WorkerFactory):
        raise TypeError(
            f"the factory is {value!r}; it must be a WorkerFactory, as in "
            f"WorkerFactory(max_episode_length=500, seed=1, n_workers=4)."
        )
    return value
