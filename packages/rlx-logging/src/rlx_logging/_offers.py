"""What a value offers, asked in one place: tensors and loggers of any library have no common base class."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def shape_of(value: Any) -> tuple[Any, ...] | None:
    """Return the shape of an array or tensor of any library, None for everything else."""
    try:
        return tuple(value.shape)
    except Exception:  # noqa: BLE001 - a foreign property may raise anything
        return None


def kind_of(value: Any) -> str | None:
    """Return the letter of numpy for the type of an array's elements, None where there is none."""
    try:
        kind = value.dtype.kind
    except Exception:  # noqa: BLE001 - a foreign property may raise anything
        return None
    return kind if isinstance(kind, str) else None


def elements_of(value: Any) -> object:
    """Return the elements of an array or tensor as Python has them: one, or nested lists; None if it has none."""
    for name in ("tolist", "item", "__float__"):
        try:
            return getattr(value, name)()
        except Exception:  # noqa: BLE001 - a foreign method may raise anything
            continue
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


def active_run_of(wandb: Any) -> Any:
    """Return a run of W&B that is open in this process, None if there is none."""
    return getattr(wandb.setup(), "most_recent_active_run", None) or wandb.run
