"""Outages of a store: what fails because nobody answers is tried again for half a minute."""

import time
import warnings
from collections.abc import Callable
from typing import Final, TypeVar

from rlx_snapshot._errors import StoreOutageWarning

T = TypeVar("T")

WAITS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds before each further attempt."""

_ANSWERS: Final = (
    FileNotFoundError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
    ImportError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    NotImplementedError,
)
"""Errors that a store, or the library that speaks to it, gives as an answer: asking again changes nothing."""


def outlast(what: str, action: Callable[[], T], reconnect: Callable[[], None]) -> T:
    """Return what `action` returns; where the store does not answer, reconnect and try again, with a warning.

    Stores fail in classes of their own, so whatever is not an answer counts as an outage.
    """
    for seconds in WAITS:
        try:
            return action()
        except _ANSWERS:
            raise
        except Exception as error:
            if _is_about_credentials(error):
                raise
            message = f"{what} failed ({type(error).__name__}: {error}); trying again in {seconds:g} s"
            warnings.warn(message, StoreOutageWarning, stacklevel=2)
        time.sleep(seconds)
        reconnect()
    return action()


def _is_about_credentials(error: Exception) -> bool:
    """Whether a library says by the name of an error that it may not, or cannot, log in."""
    return any(word in type(error).__name__ for word in ("Credential", "Auth"))
