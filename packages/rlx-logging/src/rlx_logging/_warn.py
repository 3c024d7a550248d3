"""Warnings that point at the line of the caller's that led to them."""

from __future__ import annotations

import warnings
from pathlib import Path

from rlx_logging._errors import LoggingWarning


def warn(message: str, category: type[LoggingWarning]) -> None:
    """Warn at the innermost line outside of this package."""
    import inspect  # only where there is something to warn of

    package = str(Path(__file__).parent)
    frame, level = inspect.currentframe(), 1
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
