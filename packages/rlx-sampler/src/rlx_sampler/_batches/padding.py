"""Episodes side by side in one array, padded to the longest or to a length that is given."""

from typing import Any

import numpy as np

from rlx_sampler._batches.trees import Array, ArrayTree, map_leaves
from rlx_sampler._offers import longest_episode


def padded_length(lengths: Array, env_spec: Any) -> int:
    """Return the longest episode that `env_spec`, garage's or gymnasium's, allows; without one the longest there is."""
    longest = int(lengths.max())
    allowed = longest_episode(env_spec)
    return longest if allowed is None else max(longest, allowed)


def valid_steps(lengths: Array, width: int) -> Array:
    """Return the mask of the real steps, (E, width), boolean."""
    positions: Array = np.arange(width)
    return np.asarray(np.less(positions, lengths[:, None]))


def pad_episodes(tree: ArrayTree, valid: Array) -> ArrayTree:
    """Return every leaf (N, ...) as (E, width, ...), with zeros where the mask `valid` (E, width) is False."""

    def pad(leaf: Array) -> Array:
        padded = np.zeros((*valid.shape, *leaf.shape[1:]), leaf.dtype)
        padded[valid] = leaf
        return padded

    return map_leaves(pad, tree)
