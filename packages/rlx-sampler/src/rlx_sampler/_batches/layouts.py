"""Trees of arrays as a flat list of arrays and a description of where each belongs.

The description crosses to the other process once; after that only numbers do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from rlx_sampler._batches.infos import Columns, InfoColumn
from rlx_sampler._batches.recorded import Recorded
from rlx_sampler._batches.trees import ArrayTree, is_mapping, is_tuple, leaves, map_leaves

COLUMNS: Final = ("env_infos", "episode_infos")
LayoutKey: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A tree without its arrays: their dtypes and the shapes of their rows, in order."""

    skeleton: ArrayTree
    specs: tuple[tuple[str, tuple[int, ...]], ...]


def layout_key(tree: ArrayTree) -> LayoutKey:
    """Return what two trees of one layout have in common."""
    return tuple((path, leaf.dtype.str, leaf.shape[1:]) for path, leaf in leaves(tree))


def layout_of(tree: ArrayTree) -> Layout:
    """Return the layout of a tree of arrays, each with at least one dimension."""
    specs = tuple((leaf.dtype.str, leaf.shape[1:]) for _, leaf in leaves(tree))
    return Layout(_skeleton(tree), specs)


def _skeleton(tree: ArrayTree) -> ArrayTree:
    if is_mapping(tree):
        return {name: _skeleton(branch) for name, branch in tree.items()}
    if is_tuple(tree):
        return tuple(_skeleton(branch) for branch in tree)
    return None


def fill(layout: Layout, arrays: Sequence[Any]) -> ArrayTree:
    """Return the tree with its arrays in place."""
    remaining: Iterator[Any] = iter(arrays)

    def take(_: object) -> Any:
        return next(remaining)

    return map_leaves(take, layout.skeleton)


def dismantle(part: Recorded) -> ArrayTree:
    """Return what was recorded as one tree of arrays; `reassemble` is the way back."""
    tree: dict[str, Any] = {each.name: getattr(part, each.name) for each in fields(part)}
    return tree | {name: _dismantle_columns(tree[name]) for name in COLUMNS}


def _dismantle_columns(columns: Columns) -> ArrayTree:
    return {
        path: (column.values,) if column.present is None else (column.values, column.present)
        for path, column in columns.items()
    }


def reassemble(tree: ArrayTree) -> Recorded:
    """Return the recording that `dismantle` took apart."""
    parts: dict[str, Any] = {**tree, **{name: _reassemble_columns(tree[name]) for name in COLUMNS}}
    return Recorded(**parts)


def _reassemble_columns(tree: ArrayTree) -> Columns:
    return {path: InfoColumn(parts[0], parts[1] if len(parts) == 2 else None) for path, parts in tree.items()}
