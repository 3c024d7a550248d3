"""The shapes that a batch of episodes must have, and the errors that name the wrong one."""

from typing import Any

import numpy as np

from rlx_sampler._batches.step_types import StepType
from rlx_sampler._batches.trees import Array, ArrayTree, leaves, structure


def check_lengths(lengths: Array) -> None:
    """Raise ValueError unless `lengths` is (E,), E at least 1, of positive integers."""
    if lengths.ndim != 1 or lengths.size == 0 or lengths.dtype.kind not in "iu":
        raise ValueError(
            f"lengths must be a non-empty 1-D array of integers, one an episode; "
            f"it has shape {lengths.shape} and dtype {lengths.dtype}."
        )
    if lengths.min() < 1:
        raise ValueError(f"lengths holds {lengths.min()}; every episode has at least one step.")


def check_first_dimension(name: str, tree: ArrayTree, size: int, unit: str) -> None:
    """Raise ValueError unless every leaf of `tree` has `size` rows."""
    for path, leaf in leaves(tree, name):
        if leaf.ndim == 0 or leaf.shape[0] != size:
            raise ValueError(
                f"{path} has shape {leaf.shape}; its first dimension must be {size}, "
                f"the number of {unit} that lengths says."
            )


def check_flat(name: str, array: Array) -> None:
    """Raise ValueError unless `array` has one dimension."""
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; it must have one dimension.")


def check_step_types(step_types: Array) -> None:
    """Raise ValueError unless `step_types` holds values of `StepType`."""
    if step_types.dtype.kind not in "iu":
        raise ValueError(f"step_types has dtype {step_types.dtype}; it must hold integers.")
    wrong = step_types[(step_types < StepType.FIRST) | (step_types > StepType.TIMEOUT)]
    if wrong.size:
        raise ValueError(f"step_types holds {wrong[0]}; it must hold 0 to 3, see StepType.")


def check_same_rows(observations: ArrayTree, last_observations: ArrayTree) -> None:
    """Raise ValueError unless both trees have the same leaves with rows of the same shape."""
    if structure(observations) != structure(last_observations):
        raise ValueError(
            f"last_observations has the leaves {structure(last_observations)}, "
            f"observations has {structure(observations)}; they must be the same."
        )
    others: dict[str, Any] = dict(leaves(last_observations))
    for path, leaf in leaves(observations):
        if np.shape(leaf)[1:] != np.shape(others[path])[1:]:
            raise ValueError(
                f"last_observations{path} has rows of shape {np.shape(others[path])[1:]}, "
                f"observations{path} has {np.shape(leaf)[1:]}; they must be the same."
            )
