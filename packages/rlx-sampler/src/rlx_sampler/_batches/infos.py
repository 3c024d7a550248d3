"""Info dicts of environments as arrays: copied when seen, columns when the episode ends.

A name that is there at every step becomes an array of its own dtype. One that is
missing at some steps becomes float64 with NaN there, or, where its values are no
numbers of one shape or integers that float64 would round, an object array with None there.
NaN as a truth value is True: ask ``values == 1`` rather than ``values.astype(bool)``.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from rlx_sampler._batches.tensors import is_tensor, to_array
from rlx_sampler._batches.trees import Array, ArrayTree, is_array, is_mapping

NUMERIC_KINDS = "biufc"
EXACT_INTEGERS = 2**53  # float64 holds every integer up to here
IMMUTABLE = (int, float, bool, str, bytes, complex, type(None), np.generic)

Info: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]


class InfoColumn(NamedTuple):
    """The values of one name over an episode of n steps."""

    values: Array
    """Those that were there, in order: (n or fewer, ...)."""
    present: Array | None
    """Mask of the steps that had one, (n,); None where all did."""


Columns: TypeAlias = dict[Path, InfoColumn]


def freeze_info(info: Mapping[str, Any]) -> Info:
    """Return a copy that later changes of `info`, or of arrays in it, do not reach."""
    return {name: value if isinstance(value, IMMUTABLE) else _copy(value) for name, value in info.items()}


def _copy(value: Any) -> Any:
    if is_array(value) or is_tensor(value):
        return to_array(value).copy()
    if is_mapping(value):
        return freeze_info(value)
    return copy.deepcopy(value)


def freeze_values(values: Array) -> Array:
    """Return the values of several lanes, copied where they are objects, which may be changed later."""
    if not values.dtype.hasobject:
        return values
    flat: list[Any] = list(values.flat)
    return _objects([value if isinstance(value, IMMUTABLE) else _copy(value) for value in flat])


def column_of(values: Array, present: Array | None) -> InfoColumn:
    """Return a column of values that were recorded as an array, as numbers where objects are numbers."""
    return InfoColumn(_to_array(list(values)) if values.dtype.hasobject else values, present)


def to_columns(infos: Sequence[Info]) -> Columns:
    """Turn one info dict a step into one column a name."""
    if not any(infos):
        return {}
    flat = [_flatten(info) for info in infos]
    paths = dict.fromkeys(path for info in flat for path in info)
    return {path: _column(path, flat) for path in paths}


def shared_columns(infos: Sequence[Info]) -> Columns | None:
    """Return the columns of steps that are alike, many episodes at once; None where they are not.

    They are where all have the same names with values of one type, so that any of the steps
    alone would give columns of the same dtypes.
    """
    columns: Columns = {}
    names = infos[0].keys() if infos else ()
    if any(info.keys() != names for info in infos):
        return None
    for name in names:
        values = [info[name] for info in infos]
        if not _are_alike(values):
            return None
        columns[name,] = InfoColumn(_to_array(values), None)
    return columns


def _are_alike(values: Sequence[Any]) -> bool:
    kind, *others = set(map(type, values))
    if others:
        return False
    if kind is int:
        return all(-(2**63) <= value < 2**63 for value in values)
    if kind is np.ndarray:
        return len({(value.dtype, value.shape) for value in values}) == 1
    return issubclass(kind, IMMUTABLE)


def _flatten(info: Mapping[str, Any], prefix: Path = ()) -> dict[Path, Any]:
    flat: dict[Path, Any] = {}
    for name, value in info.items():
        if is_mapping(value):
            flat |= _flatten(value, (*prefix, name))
        else:
            flat[*prefix, name] = value
    return flat


def _column(path: Path, infos: Sequence[dict[Path, Any]]) -> InfoColumn:
    values = [info[path] for info in infos if path in info]
    if len(values) == len(infos):
        return InfoColumn(_to_array(values), None)
    return InfoColumn(_to_array(values), np.array([path in info for info in infos]))


def _to_array(values: Sequence[Any]) -> Array:
    try:
        array = np.asarray(values)
    except ValueError:  # values of several shapes
        return _objects(values)
    return array if array.dtype.kind in NUMERIC_KINDS else _objects(values)


def _objects(values: Iterable[Any]) -> Array:
    listed = list(values)
    array = np.empty(len(listed), object)
    for position, value in enumerate(listed):
        array[position] = value
    return array


def join_columns(
    episodes: Sequence[Columns], lengths: Sequence[int], *, are_given: bool = False
) -> dict[str, ArrayTree]:
    """Join the columns of several episodes into nested dicts of arrays, first dimension sum(lengths).

    What was a dict at some steps and something else at others is a dict, with the something else
    under the name "".

    Args:
        episodes: The columns of each.
        lengths: The steps of each.
        are_given: Whether nobody else keeps the columns, so that what stands alone need not be copied.
    """
    dicts = {path[:depth] for columns in episodes for path in columns for depth in range(1, len(path))}
    renamed = [{_within(dicts, path): column for path, column in columns.items()} for columns in episodes]
    joined: dict[str, ArrayTree] = {}
    for path in sorted({path for columns in renamed for path in columns}, key=_names):
        branch = joined
        for name in path[:-1]:
            branch = branch.setdefault(name, {})
        parts = [columns.get(path) for columns in renamed]
        branch[path[-1]] = _join(parts, lengths, are_given=are_given)
    return joined


def _within(dicts: set[Path], path: Path) -> Path:
    return (*path, "") if path in dicts else path


def _names(path: Path) -> list[str]:
    """Return what names are sorted by; they need not be strings."""
    return [str(name) for name in path]


def _join(parts: Sequence[InfoColumn | None], lengths: Sequence[int], *, are_given: bool) -> Array:
    known = [part.values for part in parts if part is not None]
    numeric = all(v.dtype.kind in NUMERIC_KINDS for v in known) and len({v.shape[1:] for v in known}) == 1
    if numeric and all(part is not None and part.present is None for part in parts):
        return known[0] if are_given and len(known) == 1 else np.concatenate(known)
    if numeric and all(map(_fits_float64, known)):
        dtype = np.result_type(np.float64, *(v.dtype for v in known))
        whole = np.full((sum(lengths), *known[0].shape[1:]), np.nan, dtype)
        whole[_mask(parts, lengths)] = np.concatenate(known)
        return whole
    whole = np.full(sum(lengths), None, object)
    whole[_mask(parts, lengths)] = _objects(value for values in known for value in values)
    return whole


def _fits_float64(values: Array) -> bool:
    """Whether float64 holds all integers of `values` exactly."""
    wide = values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size > 0
    return not wide or (int(values.min()) >= -EXACT_INTEGERS and int(values.max()) <= EXACT_INTEGERS)


def _mask(parts: Sequence[InfoColumn | None], lengths: Sequence[int]) -> Array:
    masks = [
        np.full(length, part is not None) if part is None or part.present is None else part.present
        for part, length in zip(parts, lengths, strict=True)
    ]
    return np.concatenate(masks)
