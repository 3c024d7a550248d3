"""The policy's parameters in one shared block: written once, read by every worker."""

from importlib import import_module
from typing import Any

from rlx_sampler._batches.tensors import is_tensor, to_array
from rlx_sampler._batches.trees import Array
from rlx_sampler._parameter_trees import put_together, taken_apart
from rlx_sampler._processes.messages import ParameterLayout
from rlx_sampler._processes.shared_memory import SharedMemory, aligned


class ParameterWriter:
    """The sampler's side of the block."""

    def __init__(self, memory: SharedMemory) -> None:
        self._memory = memory
        self.layout: ParameterLayout | None = None
        """How the newest parameters lie in the block; None before the first."""

    def write(self, parameters: Any) -> bool:
        """Put `parameters` into the block; return whether they lie there in another way than before.

        Raises:
            TypeError: If they are no tree of arrays that NumPy knows.
        """
        skeleton, given = taken_apart(parameters)
        if not given:
            raise TypeError(f"{type(parameters).__name__} holds no array.")
        arrays: list[Array] = [to_array(each) for each in given]
        self._memory.reserve(sum(aligned(array.nbytes) for array in arrays))
        offset = 0
        for array in arrays:
            self._memory.array(offset, array.shape, array.dtype)[...] = array
            offset = aligned(offset + array.nbytes)
        specs = [
            (array.dtype.str, array.shape, is_tensor(each)) for array, each in zip(arrays, given, strict=True)
        ]
        layout = ParameterLayout(skeleton, specs)
        if layout == self.layout:
            return False
        self.layout = layout
        return True


def read_parameters(memory: SharedMemory, layout: ParameterLayout) -> Any:
    """Return a copy of the parameters in the block."""
    offset, values = 0, list[Any]()
    for dtype, shape, tensor in layout.specs:
        array = memory.array(offset, shape, dtype)
        offset = aligned(offset + array.nbytes)
        values.append(import_module("torch").from_numpy(array.copy()) if tensor else array.copy())
    return put_together(layout.skeleton, values)
