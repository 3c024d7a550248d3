"""What a value offers, asked in one place: tensors of any library have no common base class."""

from __future__ import annotations

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
