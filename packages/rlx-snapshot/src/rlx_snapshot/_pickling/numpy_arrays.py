"""How NumPy arrays and scalars are written: through public constructors, plain contents as one buffer."""

import operator
import pickle
import sys
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, class_of, method

NUMBERS: Final = frozenset(
    {
        *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
        *(f"float{bits}" for bits in (16, 32, 64)),
        *(f"complex{bits}" for bits in (64, 128)),
    }
)
"""Scalar classes that Python's own numbers hold without loss."""


def array(a: Any) -> Reduced:
    """An exact `numpy.ndarray`; NumPy's own protocol-5 form names functions that its older versions lack."""
    if a.dtype.hasobject:
        return array_by_state(a)
    if a.dtype.kind in "mM":
        return method("view", a.dtype), (Call(class_of(a), *_constructor_arguments(a.view("i8"))),)
    try:
        return class_of(a), _constructor_arguments(a)
    except (BufferError, ValueError):  # a type from outside NumPy that offers no buffer
        return array_by_state(a)


def array_by_state(a: Any) -> Reduced:
    """An array of objects, or of a class of its own, which may say itself how it is written.

    NumPy makes an empty array by a function that has moved from version to version;
    ``ndarray.__new__`` does the same in all of them.
    """
    function, arguments, *state = a.__reduce_ex__(5)
    if function.__name__ != "_reconstruct" or not function.__module__.startswith("numpy."):
        return function, arguments, *state
    return method("__new__", *arguments), (sys.modules["numpy"].ndarray,), *state


def scalar(value: Any) -> Reduced:
    """A scalar: its class and value, or the only element of an array without dimensions."""
    cls, dtype = class_of(value), value.dtype
    if dtype.kind in "SU" or (cls.__name__ in NUMBERS and value == value):  # but for "not a number"
        return cls, (value.item(),)
    numpy: Any = sys.modules["numpy"]
    if dtype.hasobject:
        return operator.getitem, (numpy.asarray(value), ())
    # What has fields shares the array's memory, and can be written to.
    contents = bytearray(value.tobytes()) if dtype.kind == "V" else value.tobytes()
    return operator.getitem, (Call(numpy.ndarray, (), dtype, contents), ())


def structure(dtype: Any) -> Reduced:
    """A type with fields; the flag of aligned ones, as NumPy 2 pickles it, is too large for 1.26."""
    if dtype.names is None or not dtype.isalignedstruct or dtype.metadata:
        return dtype.__reduce__()  # type: ignore[no-any-return]
    fields = [dtype.fields[name] for name in dtype.names]
    layout = {
        "names": list(dtype.names),
        "formats": [field[0] for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }
    numpy: Any = sys.modules["numpy"]
    aligned = Call(numpy.dtype, layout, True)
    return numpy.dtype, (aligned if dtype.type is numpy.void else (dtype.type, aligned),)


def _constructor_arguments(a: Any) -> tuple[Any, ...]:
    if a.flags.c_contiguous:
        return a.shape, a.dtype, pickle.PickleBuffer(a)
    if a.flags.f_contiguous:
        return a.shape, a.dtype, pickle.PickleBuffer(a), 0, None, "F"
    return a.shape, a.dtype, pickle.PickleBuffer(a.copy(order="C"))
