"""Optional libraries: imported where they are used, named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rlx_logging._errors import MissingBackendError


def require(module: str, *, used_by: str, extra: str | None = None, package: str | None = None) -> Any:
    """Import `module`; `extra` is what brings it, or `package` where no extra does.

    Raises:
        MissingBackendError: If its distribution is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != root:
            raise  # it is installed, and something of its own is missing
        what = package or f"'rlx-logging[{extra}]'"
        raise MissingBackendError(
            f"{used_by} needs {root!r}, which is not installed: pip install {what}."
        ) from error
