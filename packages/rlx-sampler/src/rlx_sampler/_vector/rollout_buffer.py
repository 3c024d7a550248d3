"""What all lanes of a vector environment did: one array (steps, lanes, ...) a leaf."""

from typing import Any, Final

import numpy as np

from rlx_sampler._batches.infos import InfoColumn, Path, column_of
from rlx_sampler._batches.layouts import Layout, fill, layout_of
from rlx_sampler._batches.trees import Array, ArrayTree, flat, flat_as, is_array, structure
from rlx_sampler._vector.infos import LaneInfos

FIRST_CAPACITY: Final = 64
LEAST_GROWTH: Final = 16
"""Steps by which the buffer grows at least, and a sixteenth of what it holds: its memory may move, not double."""


class RolloutBuffer:
    """Arrays whose row t holds step t of all lanes. A step costs one copy a leaf, whatever the lanes.

    Args:
        n_lanes: Lanes that are recorded.
    """

    def __init__(self, n_lanes: int) -> None:
        self._n_lanes = n_lanes
        self._capacity = FIRST_CAPACITY
        self._arrays: dict[str, list[Array]] = {}
        self._templates: dict[str, ArrayTree] = {}
        self._layouts: dict[str, Layout] = {}
        self._infos: dict[Path, _InfoArrays] = {}
        self.now = 0
        """Number of steps written so far."""

    def clear(self) -> None:
        """Forget all steps; the arrays stay, to be written again."""
        self.now = 0
        for each in self._infos.values():
            each.present[:] = False

    def advance(self) -> None:
        """Begin the next step."""
        self.now += 1
        if self.now >= self._capacity:
            self.make_room(self._capacity + max(LEAST_GROWTH, self._capacity // 16))

    def make_room(self, n_steps: int) -> None:
        """Let the arrays hold at least `n_steps`."""
        if n_steps <= self._capacity:
            return
        self._capacity = n_steps
        self._arrays = {
            name: [_grown(array, n_steps) for array in arrays] for name, arrays in self._arrays.items()
        }
        for each in self._infos.values():
            each.grow(n_steps)

    def write(self, name: str, tree: ArrayTree, lanes: Array | None = None) -> None:
        """Record a tree of arrays, (n_lanes, ...) or one row for each of `lanes`, as the present step's.

        Raises:
            ValueError: If it has other leaves than in the first step.
        """
        arrays = self._arrays.get(name)
        if arrays is None:
            arrays = self._begin(name, tree)
        is_alone = is_array(tree) and len(arrays) == 1
        for position, leaf in enumerate((tree,) if is_alone else self._leaves(name, tree)):
            array = arrays[position]
            if leaf.dtype != array.dtype:
                array = arrays[position] = array.astype(np.result_type(array.dtype, leaf.dtype))
            if lanes is None:
                array[self.now] = leaf[: self._n_lanes]
            else:
                array[self.now, lanes] = leaf[: len(lanes)]

    def _begin(self, name: str, tree: ArrayTree) -> list[Array]:
        self._templates[name], self._layouts[name] = tree, layout_of(tree)
        shape = (self._capacity, self._n_lanes)
        self._arrays[name] = [np.empty((*shape, *leaf.shape[1:]), leaf.dtype) for leaf in flat(tree)]
        return self._arrays[name]

    def _leaves(self, name: str, tree: ArrayTree) -> list[Array]:
        try:
            leaves = flat_as(self._templates[name], tree)
            if len(flat(tree)) != len(leaves):
                raise ValueError(f"{structure(tree)} after {structure(self._templates[name])}")
            return leaves
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ValueError(
                f"the {name} have other parts than in the first step ({error!r}); they must be the same "
                f"every time."
            ) from error

    def write_infos(self, infos: LaneInfos) -> None:
        """Record what lanes were told at the present step."""
        for path, (values, present) in infos.items():
            arrays = self._infos.get(path)
            if arrays is None:
                arrays = self._infos[path] = _InfoArrays(self._capacity, values)
            arrays.write(self.now, values, present)

    def written(self, name: str) -> Array:
        """Return what was written so far, (steps, lanes, ...), where it is one array; a view, until the next step."""
        return self._arrays[name][0][: self.now]

    def take(self, name: str, places: Array) -> ArrayTree:
        """Return the rows at `places`, which count lane by lane within step by step."""
        taken = [
            array.reshape(-1, *array.shape[2:]).take(places, axis=0) for array in self._arrays.get(name, ())
        ]
        return fill(self._layouts[name], taken) if name in self._layouts else {}

    def take_infos(self, places: Array) -> dict[Path, InfoColumn]:
        """Return one column for each name that is at any of the places."""
        columns = {path: each.take(places) for path, each in self._infos.items()}
        return {path: column for path, column in columns.items() if column is not None}


class _InfoArrays:
    """The values of one name, (steps, lanes, ...), and who was told it when."""

    def __init__(self, capacity: int, values: Array) -> None:
        self.values = np.zeros((capacity, *values.shape), values.dtype)
        self.present = np.zeros((capacity, len(values)), bool)

    def grow(self, capacity: int) -> None:
        before = len(self.present)
        self.values, self.present = _grown(self.values, capacity), _grown(self.present, capacity)
        self.present[before:] = False

    def write(self, step: int, values: Array, present: Array | None) -> None:
        if values.shape[1:] != self.values.shape[2:]:
            self._as_objects()
            values = _objects(values)
        elif values.dtype != self.values.dtype:
            self._widen(values.dtype)
        self.values[step] = values
        self.present[step] = True if present is None else present

    def _widen(self, dtype: np.dtype[Any]) -> None:
        if self.values.dtype.hasobject or dtype.hasobject:
            self._as_objects()
        else:
            self.values = self.values.astype(np.result_type(self.values.dtype, dtype))

    def _as_objects(self) -> None:
        if self.values.dtype.hasobject:
            return
        steps = [_objects(each) for each in self.values]
        self.values = np.stack(steps)

    def take(self, places: Array) -> InfoColumn | None:
        present = self.present.reshape(-1).take(places)
        if not present.any():
            return None
        values = self.values.reshape(-1, *self.values.shape[2:])
        if present.all():
            return column_of(values.take(places, axis=0), None)
        return column_of(values.take(places[present], axis=0), present)


def _objects(values: Array) -> Array:
    """Return one object for each row."""
    if values.dtype.hasobject and values.ndim == 1:
        return values
    rows = np.empty(len(values), object)
    for row, value in enumerate(values):
        rows[row] = value.copy() if isinstance(value, np.ndarray) else value
    return rows


def _grown(array: Array, capacity: int) -> Array:
    """Return `array` with more rows; nobody else has it, and so its memory may move."""
    if not array.dtype.hasobject and array.flags.owndata:
        array.resize((capacity, *array.shape[1:]), refcheck=False)
        return array
    grown = np.empty((capacity, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
