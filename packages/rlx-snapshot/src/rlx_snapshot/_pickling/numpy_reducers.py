"""How NumPy's objects are written: as plain state, through public constructors.

NumPy's own pickles name private functions that differ between its
versions; these load on every NumPy from 1.26 on.
"""

import functools
import importlib
import operator
import sys
from collections.abc import Callable
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, built_then, class_of, method
from rlx_snapshot._pickling.numpy_arrays import array, array_by_state, scalar, structure

_BIT_GENERATORS: Final = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})
_OF_SCALARS: Final = frozenset({"numpy", "numpy.rec"})


def numpy_reducer(cls: type) -> Reducer | None:
    """The reducer for instances of this class, None where it is not NumPy's or NumPy's own will do."""
    if cls.__module__.startswith("numpy.random"):
        return _bit_generator if cls.__name__ in _BIT_GENERATORS else _OTHERS.get(cls.__name__)
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if cls is numpy.ndarray:
        return array
    if cls is numpy.ufunc:
        return _ufunc
    if issubclass(cls, numpy.ndarray):
        return array_by_state
    if issubclass(cls, numpy.dtype) and cls.__name__ == "VoidDType":
        return structure
    return scalar if issubclass(cls, numpy.generic) and cls.__module__ in _OF_SCALARS else None


def _ufunc(function: Any) -> Reduced:
    name: str = function.__name__
    members: dict[str, object] = vars(sys.modules["numpy"])
    if members.get(name) is not function:  # another library's
        return NotImplemented  # type: ignore[no-any-return]
    return operator.attrgetter(name), (Call(importlib.import_module, "numpy"),)


def _bit_generator(generator: Any) -> Reduced:
    cls = class_of(generator)
    restore = Call(setattr, generator, "state", generator.state)
    return built_then(cls, (generator.seed_seq,), [restore])


def _generator(generator: Any) -> Reduced:
    cls = class_of(generator)
    return cls, (generator.bit_generator,)


def _random_state(state: Any) -> Reduced:
    # The bit generator is out of reach of public names, so it is not shared with a Generator.
    cls = class_of(state)
    saved = state.get_state(legacy=False)
    bits = vars(sys.modules["numpy.random"])[saved["bit_generator"]]
    return built_then(cls, (Call(bits, 0),), [Call(method("set_state", saved), state)])


def _seed_sequence(sequence: Any) -> Reduced:
    cls: Callable[..., object] = class_of(sequence)
    build = functools.partial(
        cls,
        spawn_key=sequence.spawn_key,
        pool_size=sequence.pool_size,
        n_children_spawned=sequence.n_children_spawned,
    )
    return build, (sequence.entropy,)


_OTHERS: Final[dict[str, Reducer]] = {
    "Generator": _generator,
    "RandomState": _random_state,
    "SeedSequence": _seed_sequence,
}
