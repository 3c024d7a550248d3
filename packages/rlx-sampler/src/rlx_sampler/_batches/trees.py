"""Nested arrays: one array, or a dict or tuple of nested arrays, as spaces nest.

Box, Discrete, MultiDiscrete and MultiBinary spaces give one array, Dict spaces a dict
of arrays, Tuple spaces a tuple of arrays. Every function here works leaf by leaf.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from rlx_sampler._batches.tensors import to_array

ArrayTree: TypeAlias = Any
"""An array, or a dict or tuple of them; `Any` because most callers know which."""

Array: TypeAlias = npt.NDArray[Any]


def is_mapping(tree: ArrayTree) -> TypeGuard[Mapping[str, Any]]:
    """Whether `tree` is a dict of trees."""
    return isinstance(tree, dict) or (not isinstance(tree, np.ndarray) and isinstance(tree, Mapping))


def is_tuple(tree: ArrayTree) -> TypeGuard[tuple[Any, ...]]:
    """Whether `tree` is a tuple of trees."""
    return isinstance(tree, tuple)


def is_array(tree: ArrayTree) -> TypeGuard[Array]:
    """Whether `tree` is one array."""
    return isinstance(tree, np.ndarray)


def leaves(tree: ArrayTree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every leaf with the path that leads to it, as in ``observations['camera'][0]``."""
    if is_array(tree):
        yield path, tree
    elif is_mapping(tree):
        for name, branch in tree.items():
            yield from leaves(branch, f"{path}[{name!r}]")
    elif is_tuple(tree):
        for position, branch in enumerate(tree):
            yield from leaves(branch, f"{path}[{position}]")
    else:
        yield path, tree


def flat(tree: ArrayTree) -> list[Any]:
    """Return all leaves, in the order of `leaves`."""
    if is_array(tree):
        return [tree]
    if is_tuple(tree):
        return [leaf for branch in tree for leaf in flat(branch)]
    if is_mapping(tree):
        return [leaf for branch in tree.values() for leaf in flat(branch)]
    return [tree]


def flat_as(template: ArrayTree, tree: ArrayTree) -> list[Any]:
    """Return the leaves of `tree` in the order that `template`, of the same shape, has them in."""
    if is_array(template):
        return [tree]
    if is_tuple(template):
        return [leaf for part, branch in zip(template, tree, strict=True) for leaf in flat_as(part, branch)]
    if is_mapping(template):
        return [leaf for name, part in template.items() for leaf in flat_as(part, tree[name])]
    return [tree]


def structure(tree: ArrayTree) -> list[str]:
    """Return the sorted paths of all leaves: equal for trees of one shape."""
    return sorted(path for path, _ in leaves(tree))


def map_leaves(function: Callable[..., Any], tree: ArrayTree, *others: ArrayTree) -> ArrayTree:
    """Return a tree of ``function(leaf, *leaves of the others at the same place)``."""
    if is_array(tree):  # most often, and the tests for the others take longer
        return function(tree, *others)
    if is_mapping(tree):
        return {
            name: map_leaves(function, branch, *(other[name] for other in others))
            for name, branch in tree.items()
        }
    if is_tuple(tree):
        return tuple(
            map_leaves(function, branch, *(other[position] for other in others))
            for position, branch in enumerate(tree)
        )
    return function(tree, *others)


def rows(tree: ArrayTree, index: int | slice | Array) -> ArrayTree:
    """Return ``leaf[index]`` of every leaf."""
    return map_leaves(itemgetter(index), tree)


def concatenate(trees: Sequence[ArrayTree]) -> ArrayTree:
    """Join trees of one shape along the first dimension."""

    def join(*parts: Array) -> Array:
        return np.concatenate(parts)

    return map_leaves(join, *trees)


def stack(trees: Sequence[ArrayTree]) -> ArrayTree:
    """Join trees of one shape along a new first dimension."""

    def join(*parts: Array) -> Array:
        return np.stack(parts)

    return map_leaves(join, *trees)


def words_as_objects(array: Array) -> Array:
    """Return `array`, but text and records as objects: their dtypes depend on the longest one seen."""
    return array.astype(object) if array.dtype.kind in "USV" else array


def as_arrays(tree: ArrayTree) -> ArrayTree:
    """Return the tree with every leaf an array."""
    return map_leaves(to_array, tree)
