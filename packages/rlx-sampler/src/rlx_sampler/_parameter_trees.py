"""Parameters of any shape: their arrays, and what is left of the tree when these are taken out.

Lists, named tuples, dataclasses and the pytrees of JAX stay what they are: the rest travels
as a pickle, in which the arrays are mere numbers.
"""

import copy
import io
import pickle
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import cloudpickle
import numpy as np

from rlx_sampler._batches.tensors import is_tensor
from rlx_sampler._unfindable import unfindable_by_value

PLAIN: Final[frozenset[type]] = frozenset(
    {dict, list, tuple, OrderedDict, str, bytes, int, float, complex, bool, type(None)}
)
"""What pickles alike in every process, wherever it is defined."""


class Parts(NamedTuple):
    """A tree of parameters taken apart."""

    skeleton: bytes
    """The tree, pickled, with the position of each array in its place."""
    arrays: list[Any]
    """Its arrays and tensors."""


class _NotPlainError(Exception):
    """The tree holds an object of some class of its own."""


class _PlainPickler(pickle.Pickler):
    """Pickles trees of plain containers, and takes the arrays out."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)
        self.arrays: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        """Return the position of an array among those taken out."""
        if is_numbers(obj):
            self.arrays.append(obj)
            return len(self.arrays) - 1
        if type(obj) not in PLAIN and obj is not OrderedDict:
            raise _NotPlainError
        return None


class _AnyPickler(cloudpickle.Pickler):  # type: ignore[misc]  # untyped library
    """Pickles trees with classes of any origin, and takes the arrays out."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=5)  # pyright: ignore[reportUnknownMemberType]
        self.arrays: list[Any] = []

    def persistent_id(self, obj: Any) -> int | None:
        """Return the position of an array among those taken out."""
        if not is_numbers(obj):
            return None
        self.arrays.append(obj)
        return len(self.arrays) - 1


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, arrays: Sequence[Any]) -> None:
        super().__init__(io.BytesIO(data))
        self._arrays = arrays

    def persistent_load(self, pid: int) -> Any:
        """Return the array at the position `pid`."""
        return self._arrays[pid]


def is_numbers(value: Any) -> bool:
    """Whether `value` is an array or tensor of plain numbers, of no class of somebody's own."""
    if type(value) is np.ndarray:
        return value.dtype.kind in "biufc"
    return is_tensor(value) and type(value).__module__ in ("torch", "torch.nn.parameter")


def taken_apart(tree: Any) -> Parts:
    """Take the arrays out of `tree`.

    Raises:
        TypeError: If the rest cannot be pickled.
    """
    file = io.BytesIO()
    plain = _PlainPickler(file)
    try:
        plain.dump(tree)
    except _NotPlainError:
        return _any_taken_apart(tree)
    return Parts(file.getvalue(), plain.arrays)


def _any_taken_apart(tree: Any) -> Parts:
    file = io.BytesIO()
    pickler: Any = _AnyPickler(file)
    try:
        with unfindable_by_value():
            pickler.dump(tree)
    except Exception as error:
        raise TypeError(f"parameters must be picklable, not {type(tree).__name__} ({error}).") from error
    return Parts(file.getvalue(), pickler.arrays)


def put_together(skeleton: bytes, arrays: Sequence[Any]) -> Any:
    """Return the tree whose parts `taken_apart` gave, with `arrays` in place of its own."""
    return _Unpickler(skeleton, arrays).load()


def copy_of_parameters(tree: Any) -> Any:
    """Return a copy of parameters that shares no array with them; tensors come without their history."""
    try:
        parts = taken_apart(tree)
    except TypeError:  # no other process can get them, but this one can use them
        return copy.deepcopy(tree)
    return put_together(parts.skeleton, [_copied(array) for array in parts.arrays])


def _copied(array: Any) -> Any:
    return array.detach().clone() if is_tensor(array) else array.copy()
