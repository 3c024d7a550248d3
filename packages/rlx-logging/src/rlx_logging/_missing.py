"""Optional libraries: imported where they are used, named where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rlx_logging._errors import MissingBackendError


def require(
    module: str,
    *,
    used_by: str,
    extra: str | None = None,
    package: str | None = None,
    at_least: tuple[int, int] | None = None,
) -> Any:
    """Import `module`; `extra` is what brings it, or `package` where no extra does.

    Raises:
        MissingBackendError: If its distribution is not installed, or older than `at_least`.
    """
    what = package or f"'rlx-logging[{extra}]'"
    try:
        imported = import_module(module)
    except ModuleNotFoundError as error:
        root = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != root:
            raise  # it is installed, and something of its own is missing
        raise MissingBackendError(
            f"{used_by} needs {root!r}, which is not installed: pip install {what}."
        ) from error
    if at_least is not None and _series(imported.__version__) < at_least:
        raise MissingBackendError(
            f"{used_by} needs {module} {'.'.join(map(str, at_least))} or newer; {imported.__version__} is "
            f"installed: pip install -U {what}."
        )
    return imported


def _series(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(map(int, version.split(".")[:2]))
