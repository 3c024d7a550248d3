"""The present observation of every lane, stacked as the policy wants it."""

from functools import partial
from typing import Any

import numpy as np

from rlx_sampler._batches.layouts import fill, layout_of
from rlx_sampler._batches.tensors import to_array
from rlx_sampler._batches.trees import (
    Array,
    ArrayTree,
    flat,
    flat_as,
    is_array,
    is_mapping,
    map_leaves,
    rows,
    words_as_objects,
)


class ObservationStack:
    """A tree of arrays (n_rows, ...) whose row k is the present observation of lane k."""

    def __init__(self, n_rows: int, observation: ArrayTree) -> None:
        """Take the structure, dtypes and shapes from one observation."""
        self.tree: ArrayTree = map_leaves(partial(_zeros, n_rows), observation)
        self._plain = _plain(self.tree)

    def place(self, lane: int, observation: ArrayTree) -> None:
        """Copy `observation` into row `lane`, widening the dtype rather than losing bits.

        Raises:
            ValueError: If it has another shape than the first one had.
        """
        dtype, shape = self._plain
        if type(observation) is np.ndarray and observation.dtype is dtype and observation.shape == shape:
            self.tree[lane] = observation  # as nearly always
        else:
            self.tree = _place(self.tree, lane, observation)
            self._plain = _plain(self.tree)

    def place_all(self, observations: ArrayTree, n_lanes: int) -> None:
        """Copy one observation a lane.

        Raises:
            ValueError: If there are not `n_lanes`, or they have another shape than the first one had.
        """
        dtype, shape = self._plain
        if is_array(observations) and observations.dtype is dtype and observations.shape == (n_lanes, *shape):
            self.tree[:n_lanes] = observations  # as nearly always
            return
        for array, own in zip(self._checked(observations, n_lanes), self.arrays(), strict=True):
            own[:n_lanes] = array

    def place_some(self, observations: ArrayTree, lanes: Array) -> None:
        """Copy those of `lanes` out of one observation a lane.

        Raises:
            ValueError: If they have another shape than the first one had.
        """
        n_lanes = len(to_array(flat_as(self.tree, observations)[0]))
        for array, own in zip(self._checked(observations, n_lanes), self.arrays(), strict=True):
            own[lanes] = array[lanes]

    def _checked(self, observations: ArrayTree, n_lanes: int) -> list[Array]:
        """Return the arrays of one observation a lane, widening the own dtypes rather than losing bits."""
        arrays = [words_as_objects(to_array(leaf)) for leaf in flat_as(self.tree, observations)]
        own = self.arrays()
        for array, each in zip(arrays, own, strict=True):
            if array.shape != (n_lanes, *each.shape[1:]):
                raise ValueError(
                    f"the environment gave observations of shape {array.shape}; it must be "
                    f"{(n_lanes, *each.shape[1:])}, one row a lane and all rows of one shape."
                )
        if any(array.dtype != each.dtype for array, each in zip(arrays, own, strict=True)):
            widened = [
                each.astype(np.result_type(each.dtype, array.dtype))
                for array, each in zip(arrays, own, strict=True)
            ]
            self.tree = fill(layout_of(self.tree), widened)
            self._plain = _plain(self.tree)
        return arrays

    def row(self, lane: int) -> ArrayTree:
        """Return a copy of row `lane`."""
        return map_leaves(np.copy, rows(self.tree, lane))

    def dtypes(self) -> list[np.dtype[Any]]:
        """Return the dtypes of the arrays of the tree."""
        return [array.dtype for array in self.arrays()]

    def arrays(self) -> list[Array]:
        """Return the arrays of the tree."""
        return flat(self.tree)


def _plain(stack: ArrayTree) -> tuple[np.dtype[Any] | None, tuple[int, ...]]:
    """Return dtype and shape of an observation that can be copied as it is; no dtype where none can."""
    return (stack.dtype, stack.shape[1:]) if is_array(stack) else (None, ())


def _zeros(n_rows: int, leaf: Any) -> Array:
    sample = words_as_objects(to_array(leaf))
    stack = np.zeros((n_rows, *sample.shape), sample.dtype)
    if sample.dtype.hasobject:
        stack[...] = sample  # padding is seen by the policy, which expects such objects
    return stack


def _place(stack: ArrayTree, lane: int, observation: Any) -> ArrayTree:
    if not is_array(stack):
        if len(stack) != len(observation):
            raise ValueError(
                f"the environment gave an observation of {len(observation)} parts after one of {len(stack)}; "
                f"all observations of an environment must have the same parts."
            )
        if is_mapping(stack):
            return {name: _place(branch, lane, observation[name]) for name, branch in stack.items()}
        return tuple(_place(branch, lane, observation[i]) for i, branch in enumerate(stack))
    array = words_as_objects(to_array(observation))
    if array.shape != stack.shape[1:]:
        raise ValueError(
            f"the environment gave an observation of shape {array.shape} after one of {stack.shape[1:]}; "
            f"all observations of an environment must have one shape."
        )
    if array.dtype != stack.dtype:
        stack = stack.astype(np.result_type(stack.dtype, array.dtype))
    stack[lane, ...] = array  # the ellipsis unpacks an object that stands alone in its array
    return stack
