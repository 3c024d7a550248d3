"""What vector environments tell their lanes: one array a name, with the mask of the lanes that it is for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from rlx_sampler._batches.infos import Columns, Path, column_of, freeze_values
from rlx_sampler._batches.tensors import is_tensor, to_array
from rlx_sampler._batches.trees import Array, ArrayTree, is_array, is_mapping, map_leaves

LaneInfos: TypeAlias = dict[Path, tuple[Array, Array | None]]
"""By path: the values, (n_lanes, ...), and which lanes have one, None where all have."""

FINAL_OBSERVATION: Final = ("final_obs", "final_observation")
FINAL_INFO: Final = "final_info"


class StepInfos(NamedTuple):
    """The infos of one step, taken apart."""

    step: LaneInfos
    """Of the step that was taken."""
    beginning: LaneInfos
    """Of the episodes that have begun with it."""
    final_observations: ArrayTree
    has_final: Array | None
    """Which lanes have begun another episode in the same step, with a final observation of the one before."""


def columns_of(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one info dict a lane as one array a name, with the mask of the lanes that have it."""
    columns: dict[str, Any] = {}
    for name in {name: None for info in infos for name in info}:
        has_it = np.array([name in info for info in infos])
        lanes = np.flatnonzero(has_it).tolist()
        if any(is_mapping(infos[lane][name]) for lane in lanes):
            columns[name] = columns_of([infos[lane].get(name) or {} for lane in range(len(infos))])
        else:
            columns[name] = np.full(len(infos), None, object)
            for lane in lanes:
                columns[name][lane] = infos[lane][name]
        columns[f"_{name}"] = has_it
    return columns


def lane_infos(infos: Mapping[str, Any], n_lanes: int) -> LaneInfos:
    """Flatten the infos of a vector environment."""
    flat: LaneInfos = {}
    if infos:
        _flatten(infos, n_lanes, (), None, flat)
    return flat


def _flatten(
    infos: Mapping[str, Any], n_lanes: int, prefix: Path, outer: Array | None, flat: LaneInfos
) -> None:
    for name, value in infos.items():
        if name.startswith("_") and name[1:] in infos:
            continue
        mask = infos.get(f"_{name}")
        present = outer if mask is None else np.asarray(mask, bool)
        if present is not None and outer is not None and present is not outer:
            present = present & outer
        if is_mapping(value):
            _flatten(value, n_lanes, (*prefix, name), present, flat)
        else:
            flat[*prefix, name] = (_one_a_lane(value, n_lanes), present)


def _one_a_lane(value: Any, n_lanes: int) -> Array:
    array = to_array(value) if is_array(value) or is_tensor(value) else None
    if array is not None and array.ndim and len(array) == n_lanes:
        return freeze_values(array)
    return freeze_values(np.array([value] * n_lanes, None if np.isscalar(value) else object))


def split(infos: Mapping[str, Any], over: Array, begun: Array) -> StepInfos:
    """Take the infos of a step apart.

    Args:
        infos: What the environment gave.
        over: Which lanes have ended.
        begun: Which lanes the environment has reset in place of a step.
    """
    final_name = next((name for name in FINAL_OBSERVATION if name in infos), None)
    if final_name is None:
        told = lane_infos(infos, len(over))
        return StepInfos(told, told if begun.any() else {}, None, None)
    has_final = np.asarray(infos.get(f"_{final_name}", over), bool) & over
    ends = (*FINAL_OBSERVATION, FINAL_INFO)
    present = {name: value for name, value in infos.items() if name.removeprefix("_") not in ends}
    told = lane_infos(present, len(over))
    finals = infos.get(FINAL_INFO, {})
    if is_array(finals):
        finals = columns_of([each or {} for each in finals])
    step: LaneInfos = {
        path: (values, ~has_final if mask is None else mask & ~has_final)
        for path, (values, mask) in told.items()
    }
    for path, (values, mask) in lane_infos(finals, len(over)).items():
        step[path] = _merged(step.get(path), values, has_final if mask is None else mask & has_final)
    return StepInfos(step, told, infos[final_name], has_final)


def _merged(earlier: tuple[Array, Array | None] | None, values: Array, mask: Array) -> tuple[Array, Array]:
    if earlier is None or earlier[1] is None:
        return values, mask
    rows_of = mask.reshape(-1, *[1] * (values.ndim - 1))
    if earlier[0].shape[1:] != values.shape[1:]:
        as_objects = [list(earlier[0]), list(values)]
        mixed = np.empty(len(mask), object)
        for lane, is_final in enumerate(mask):
            mixed[lane] = as_objects[int(is_final)][lane]
        return mixed, mask | earlier[1]
    return np.where(rows_of, values, earlier[0]), mask | earlier[1]


def final_rows(infos: StepInfos, lanes: Array, like: ArrayTree) -> ArrayTree:
    """Return the final observations of `lanes`, with the dtypes of `like`."""
    finals = infos.final_observations
    if is_array(finals) and finals.dtype.hasobject and not (is_array(like) and like.dtype.hasobject):
        each = [finals[lane] for lane in lanes.tolist()]

        def stacked(model: Array, *leaves: Any) -> Array:
            return np.stack([np.asarray(to_array(leaf), model.dtype) for leaf in leaves])

        return map_leaves(stacked, like, *each)

    def as_like(final: Any, model: Array) -> Array:
        return np.asarray(to_array(final)[lanes], model.dtype)

    return map_leaves(as_like, finals, like)


class Beginnings:
    """What episodes were told at their beginning: by path, the number of each episode and its value."""

    def __init__(self) -> None:
        self._told: dict[Path, list[tuple[Array, Array]]] = {}

    def note(self, numbers: Array, lanes: Array, infos: LaneInfos) -> None:
        """Note for the episodes `numbers`, which begin in `lanes`; later ones have higher numbers."""
        for path, (values, present) in infos.items():
            kept = slice(None) if present is None else present[lanes]
            chosen = lanes[kept]
            if len(chosen):
                self._told.setdefault(path, []).append((numbers[kept], values[chosen]))

    def columns(self, numbers: Array) -> Columns:
        """Return what the episodes `numbers` were told."""
        columns: Columns = {}
        for path, told in self._told.items():
            owners = np.concatenate([each for each, _ in told])
            places = np.searchsorted(owners, numbers)
            places[places == len(owners)] = 0
            present = owners[places] == numbers
            if present.any():
                values = _concatenated([values for _, values in told])[places[present]]
                columns[path] = column_of(values, None if present.all() else present)
        return columns

    def kept(self, numbers: Array) -> "Beginnings":
        """Return what only the episodes `numbers` were told."""
        kept = Beginnings()
        for path, told in self._told.items():
            owners = np.concatenate([each for each, _ in told])
            is_kept = np.isin(owners, numbers)
            if is_kept.any():
                values = _concatenated([each for _, each in told])[is_kept]
                kept._told[path] = [(owners[is_kept], values)]
        return kept


def _concatenated(parts: list[Array]) -> Array:
    if len({part.shape[1:] for part in parts}) == 1 and not any(part.dtype.hasobject for part in parts):
        return np.concatenate(parts)
    joined = np.empty(sum(map(len, parts)), object)
    for position, value in enumerate(value for part in parts for value in part):
        joined[position] = value
    return joined
