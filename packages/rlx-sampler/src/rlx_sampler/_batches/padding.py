"""Episodes side by side in one array, padded to the longest."""

import numpy as np

from rlx_sampler._batches.trees import Array, ArrayTree, map_leaves


def valid_steps(lengths: Array) -> Array:
    """Return the mask of the real steps, (E, longest), boolean."""
    positions: Array = np.arange(int(lengths.max()))
    return np.asarray(np.less(positions, lengths[:, None]))


def pad_episodes(tree: ArrayTree, lengths: Array) -> ArrayTree:
    """Return every leaf (N, ...) as (E, longest, ...), with zeros after the end of an episode."""
    valid = valid_steps(lengths)

    def pad(leaf: Array) -> Array:
        padded = np.zeros((*valid.shape, *leaf.shape[1:]), leaf.dtype)
        padded[valid] = leaf
        return padded

    return map_leaves(pad, tree)
