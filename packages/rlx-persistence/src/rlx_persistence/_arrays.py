"""Arrays of NumPy, JAX and torch, turned into one another bit for bit."""

import sys
from typing import Any, cast

from rlx_persistence._optional import import_numpy, import_torch, is_tensor


def is_array(value: object) -> bool:
    """Whether `value` is an array of NumPy or of JAX; imports neither to find out."""
    numpy, jax = sys.modules.get("numpy"), sys.modules.get("jax")
    return (numpy is not None and isinstance(value, numpy.ndarray)) or (
        jax is not None and isinstance(value, jax.Array)
    )


def dtype_name(value: object) -> str | None:
    """Return the name of the dtype, the same for all libraries; None for what has no dtype."""
    try:
        return str(cast("Any", value).dtype).removeprefix("torch.")
    except AttributeError:
        return None


def tensor_of(array: object) -> Any:
    """Return a tensor with the bits of `array`.

    Raises:
        TypeError: If torch has no such dtype.
    """
    torch, numpy = import_torch("mode POLICY_STATE_DICT"), import_numpy("mode POLICY_STATE_DICT")
    values = numpy.asarray(array)
    values = numpy.array(values, dtype=values.dtype.newbyteorder("="), order="C")
    dtype = vars(torch).get(str(values.dtype))
    if type(array) is numpy.ma.MaskedArray or not isinstance(dtype, torch.dtype):
        raise TypeError(f"a {type(array).__name__} of dtype {values.dtype}, which no tensor holds")
    return torch.from_numpy(values.reshape(-1).view(numpy.uint8)).view(dtype).reshape(values.shape)


def array_of(tensor: Any) -> Any:
    """Return a NumPy array with the bits of `tensor`."""
    numpy = import_numpy("a tensor as an array")
    return bytes_of(tensor).view(numpy.dtype(dtype_name(tensor))).reshape(tuple(tensor.shape))


def bytes_of(value: Any) -> Any:
    """Return the bytes of a tensor or an array as a flat NumPy array, without a copy where that is possible."""
    if is_tensor(value):
        torch = import_torch("a tensor's bytes")
        return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    numpy = import_numpy("an array's bytes")
    return numpy.ascontiguousarray(value).reshape(-1).view(numpy.uint8)


def in_the_kind_of(value: object, current: object) -> object:
    """Return `value`, an array or a tensor, as the kind of thing that `current` is; anything else as it comes."""
    if is_tensor(value) and is_array(current):
        return array_of(value)
    if is_array(value) and is_tensor(current):
        return tensor_of(value).to(cast("Any", current))
    if is_array(value) and isinstance(current, int | float) and cast("Any", value).ndim == 0:
        return cast("Any", value).item()
    return value
