"""How NumPy arrays are written: through public constructors, their contents as one buffer."""

import pickle
from typing import Any

from rlx_snapshot._calls import Call, Reduced, class_of, method


def array(a: Any) -> Reduced:
    """An exact `numpy.ndarray`; NumPy's own protocol-5 form names functions that its older versions lack."""
    if a.dtype.hasobject:
        return a.__reduce__()  # type: ignore[no-any-return]
    if a.dtype.kind in "mM":
        return method("view", a.dtype), (Call(class_of(a), *_constructor_arguments(a.view("i8"))),)
    try:
        return class_of(a), _constructor_arguments(a)
    except (BufferError, ValueError):  # a type from outside NumPy that offers no buffer
        return a.__reduce__()  # type: ignore[no-any-return]


def _constructor_arguments(a: Any) -> tuple[Any, ...]:
    if a.flags.c_contiguous:
        return a.shape, a.dtype, pickle.PickleBuffer(a)
    if a.flags.f_contiguous:
        return a.shape, a.dtype, pickle.PickleBuffer(a), 0, None, "F"
    return a.shape, a.dtype, pickle.PickleBuffer(a.copy(order="C"))
