"""Optional libraries, imported where they are used; and what needs none of them."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from rlx_persistence._errors import MissingLibraryError

if TYPE_CHECKING:
    import torch

TDevice: TypeAlias = "str | torch.device"


def import_torch(used_by: str) -> ModuleType:
    """Import torch, or say which extra brings it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingLibraryError(used_by, "torch", "torch") from error
    return torch


def import_numpy(used_by: str) -> ModuleType:
    """Import NumPy, or say which extra brings it."""
    try:
        import numpy as np
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise MissingLibraryError(used_by, "numpy", "numpy") from error
    return np


def is_module(value: object) -> bool:
    """Whether `value` is a ``torch.nn.Module``; never imports torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)


def is_tensor(value: object) -> bool:
    """Whether `value` is a ``torch.Tensor``; never imports torch to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
