"""Optional libraries: imported when used, named with their extra when absent."""

from importlib import import_module
from typing import Any


class MissingExtraError(ImportError):
    """An optional library is not installed; the message names the extra that brings it."""


def require(module: str, extra: str, used_by: str) -> Any:
    """Import and return `module`, which `extra` of this distribution brings.

    Raises:
        MissingExtraError: It is not installed. A library that is there but broken raises its own error.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{used_by} needs {module!r}, which is not installed: pip install 'rlx-experiment[{extra}]'"
        ) from error
