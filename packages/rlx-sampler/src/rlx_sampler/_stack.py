"""The present observation of every lane, stacked as the policy wants it."""

from functools import partial
from typing import Any

import numpy as np

from rlx_sampler._trees import Array, ArrayTree, is_array, is_mapping, leaves, map_leaves, rows


class ObservationStack:
    """A tree of arrays (n_rows, ...) whose row k is the present observation of lane k."""

    def __init__(self, n_rows: int, observation: ArrayTree) -> None:
        """Take the structure, dtypes and shapes from one observation."""
        self.tree: ArrayTree = map_leaves(partial(_zeros, n_rows), observation)

    def place(self, lane: int, observation: ArrayTree) -> None:
        """Copy `observation` into row `lane`, widening the dtype rather than losing bits.

        Raises:
            ValueError: If it has another shape than the first one had.
        """
        self.tree = _place(self.tree, lane, observation)

    def row(self, lane: int) -> ArrayTree:
        """Return a copy of row `lane`."""
        return map_leaves(np.copy, rows(self.tree, lane))

    def rows(self, lane: int) -> ArrayTree:
        """Return a copy of row `lane`, as a stack of one."""
        return map_leaves(np.copy, rows(self.tree, slice(lane, lane + 1)))

    def arrays(self) -> list[Array]:
        """Return the arrays of the tree."""
        return [leaf for _, leaf in leaves(self.tree)]


def _zeros(n_rows: int, leaf: Any) -> Array:
    sample = np.asarray(leaf)
    return np.zeros((n_rows, *sample.shape), sample.dtype)


def _place(stack: ArrayTree, lane: int, observation: Any) -> ArrayTree:
    if not is_array(stack):
        if is_mapping(stack):
            return {name: _place(branch, lane, observation[name]) for name, branch in stack.items()}
        return tuple(_place(branch, lane, observation[i]) for i, branch in enumerate(stack))
    array = observation if is_array(observation) else np.asarray(observation)
    if array.shape != stack.shape[1:]:
        raise ValueError(
            f"the environment gave an observation of shape {array.shape} after one of {stack.shape[1:]}; "
            f"all observations of an environment must have one shape."
        )
    if array.dtype != stack.dtype:
        stack = stack.astype(np.result_type(stack.dtype, array.dtype))
    stack[lane] = array
    return stack
