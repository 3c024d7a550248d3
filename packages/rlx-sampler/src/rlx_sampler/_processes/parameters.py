"""The policy's parameters in one shared block: written once, read by every worker."""

from importlib import import_module
from typing import Any

import numpy as np

from rlx_sampler._batches.layouts import LayoutKey, fill, layout_key, layout_of
from rlx_sampler._batches.trees import Array, ArrayTree, is_array, leaves, map_leaves
from rlx_sampler._policies.noise import is_tensor, to_array
from rlx_sampler._processes.messages import ParameterLayout
from rlx_sampler._processes.shared_memory import SharedMemory, aligned


class ParameterWriter:
    """The sampler's side of the block."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self._key: tuple[LayoutKey, list[bool]] | None = None
        self.layout: ParameterLayout | None = None
        """How the newest parameters lie in the block; None before the first."""

    def write(self, parameters: ArrayTree) -> bool:
        """Put `parameters` into the block; return whether they lie there in another way than before.

        Raises:
            TypeError: If a leaf is neither an array nor a tensor of plain numbers.
        """
        tree = map_leaves(_as_row, parameters)
        rows: list[Array] = [leaf for _, leaf in leaves(tree)]
        self._memory.reserve(sum(aligned(row.nbytes) for row in rows))
        offset = 0
        for row in rows:
            self._memory.array(offset, row.shape, row.dtype)[...] = row
            offset = aligned(offset + row.nbytes)
        key = (layout_key(tree), [is_tensor(value) for _, value in leaves(parameters)])
        if key == self._key:
            return False
        self._key = key
        self.layout = ParameterLayout(layout_of(tree), key[1])
        return True


def _as_row(value: Any) -> Array:
    if not (is_array(value) or is_tensor(value) or isinstance(value, np.generic)):
        raise TypeError(f"{type(value).__name__} is no array of numbers.")
    array = to_array(value)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"an array of {array.dtype} cannot lie in shared memory.")
    return array[None]


def read_parameters(memory: SharedMemory, layout: ParameterLayout) -> ArrayTree:
    """Return a copy of the parameters in the block."""
    offset, values = 0, list[Any]()
    for (dtype, shape), tensor in zip(layout.layout.specs, layout.tensors, strict=True):
        array = memory.array(offset, shape, dtype)
        offset = aligned(offset + array.nbytes)
        values.append(import_module("torch").from_numpy(array.copy()) if tensor else array.copy())
    return fill(layout.layout, values)
