"""What a value offers, asked in one place: tensors and loggers of any library have no common base class."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an array or tensor of any library, None for everything else."""
    try:
        return tuple(value.shape)
    except (AttributeError, TypeError):
        return None


def item_of(value: Any) -> object:
    """Return the Python value of an array or tensor without dimensions, None if it has none."""
    try:
        return value.item()
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return None


def method_of(value: object, name: str) -> Callable[..., Any] | None:
    """Return a method by its name, None if `value` has none."""
    method = getattr(value, name, None)
    return method if callable(method) else None


def count_of(value: object, name: str) -> int:
    """Return a whole number by its name, -1 if `value` has none."""
    count = getattr(value, name, None)
    return count if isinstance(count, int) else -1


def folder_of(writer: Any) -> str | None:
    """Return the folder of a SummaryWriter of torch or tensorboardX, None for what is none."""
    if method_of(writer, "add_scalar") is None:
        return None
    asked = method_of(writer, "get_logdir")
    folder = getattr(writer, "logdir", None) if asked is None else asked()
    return os.fspath(folder) if isinstance(folder, (str, os.PathLike)) else None
