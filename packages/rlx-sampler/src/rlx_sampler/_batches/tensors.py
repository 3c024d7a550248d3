"""Tensors of torch where arrays are meant, as some environments and policies give them."""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt


def is_tensor(value: Any) -> bool:
    """Whether `value` is a tensor; without torch nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def to_array(value: Any) -> npt.NDArray[Any]:
    """Return `value` as an array: a tensor without its gradient and from whichever device it is on."""
    if isinstance(value, np.ndarray):  # most often, and asked fastest
        return value  # pyright: ignore[reportUnknownVariableType]  # of whichever dtype
    if not is_tensor(value):
        return np.asarray(value)
    tensor = value.detach().cpu()
    return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)
