"""The pickler behind every save: cloudpickle's, made exact for what reinforcement learning holds."""

import io
import operator
import pickle
import types
from collections import OrderedDict
from typing import Any, Final, Protocol

from rlx_snapshot._pickling.calls import Call, Reducer
from rlx_snapshot._pickling.cloud import CloudPickler
from rlx_snapshot._pickling.environment_reducers import EnvironmentReducers
from rlx_snapshot._pickling.jax_reducers import jax_reducer
from rlx_snapshot._pickling.main_module import by_name_or_copy, lives_in_main
from rlx_snapshot._pickling.numpy_names import numpy_name
from rlx_snapshot._pickling.numpy_reducers import numpy_reducer
from rlx_snapshot._pickling.references import reference_reducer
from rlx_snapshot._pickling.surfaces import surface_reducer
from rlx_snapshot._pickling.torch_modules import module_reducer
from rlx_snapshot._pickling.torch_reducers import TorchReducers
from rlx_snapshot._pickling.unpicklable import REFUSALS, unpicklable

_EMPTY: Final = (OrderedDict, ())


class Writable(Protocol):
    """What a pickler writes to."""

    def write(self, data: bytes, /) -> object:
        """Take the next bytes, or an object that holds them."""


class ExactPickler(CloudPickler):
    """Writes one object graph; what it writes loads with `pickle.load` and without this package."""

    def __init__(self, file: Writable) -> None:
        # A plain dictionary, as looking through cloudpickle's chain of them costs more than the rest.
        self.dispatch_table = dict(CloudPickler.dispatch_table)
        super().__init__(file, protocol=5)
        self._environments = EnvironmentReducers()
        self._torch: TorchReducers | None = None
        self._named: set[tuple[str, str]] = set()
        # None stands for `_code`: a bound method here would be a circle that keeps the whole state alive.
        self._reducers: dict[type, Reducer | None] = {
            Call: Call.__reduce__,
            operator.methodcaller: _by_itself,
            OrderedDict: _ordered,
        }

    def names(self) -> frozenset[tuple[str, str]]:
        """Module and name of every class and function met so far: what the pickle needs when it is loaded."""
        held = [cls for cls in self._reducers if cls is not Call and _has_module(cls)]
        classes = [(str(cls.__module__), cls.__qualname__) for cls in held]
        return frozenset(self._named.union(classes))

    def reducer_override(self, obj: object) -> Any:
        """Called by pickle for everything but the plainest builtins."""
        cls = type(obj)
        try:
            reducer = self._reducers[cls]
        except KeyError:
            reducer = self._reducers[cls] = self._choose(cls)
        return self._code(obj) if reducer is None else reducer(obj)

    def _choose(self, cls: type[object]) -> Reducer | None:
        if issubclass(cls, type) or cls is types.FunctionType:
            return None
        if not _has_module(cls):
            return _by_itself
        if cls.__module__.partition(".")[0] == "torch":
            self._torch = self._torch or TorchReducers()
            return self._torch(cls) or module_reducer(cls) or _by_itself
        return (
            numpy_reducer(cls)
            or reference_reducer(cls)
            or surface_reducer(cls)
            or jax_reducer(cls)
            or self._environments(cls)
            or module_reducer(cls)
            or _by_itself
        )

    def _code(self, obj: Any) -> Any:
        if obj is types.SimpleNamespace:  # by its name; cloudpickle's way would need cloudpickle to load it
            return NotImplemented
        if _has_module(obj):
            self._named.add((str(obj.__module__), obj.__qualname__))
        if lives_in_main(obj):
            return by_name_or_copy(obj)
        if isinstance(obj, type) and _has_module(obj):
            return numpy_name(obj) or super().reducer_override(obj)
        return super().reducer_override(obj)


def dump(obj: object, file: Writable) -> frozenset[tuple[str, str]]:
    """Pickle `obj` into `file`; return module and name of the classes and functions in it.

    Raises:
        UnpicklableStateError: If a part of it cannot be pickled; it says which.
    """
    pickler = ExactPickler(file)
    try:
        pickler.dump(obj)
    except REFUSALS as refusal:
        raise unpicklable(obj, refusal, lambda part: ExactPickler(_Nowhere()).dump(part)) from refusal
    return pickler.names()


def exact_dumps(obj: object) -> bytes:
    """Pickle `obj` so that live environments inside it come back in mid-episode.

    The bytes load with `exact_loads`, or with any `pickle.loads` where the
    libraries of the held objects are installed.

    Raises:
        UnpicklableStateError: If something in `obj` cannot be pickled; it says where.
    """
    file = io.BytesIO()
    dump(obj, file)
    return file.getvalue()


def exact_loads(data: bytes) -> Any:
    """Load what `exact_dumps` wrote. Loading runs code of the held objects: only for trusted bytes."""
    return pickle.loads(data)


def exact_copy(obj: Any) -> Any:
    """A deep copy of `obj` that shares nothing with it, live environments in mid-episode included."""
    return exact_loads(exact_dumps(obj))


class _Nowhere:
    """Takes everything and keeps nothing."""

    def write(self, data: bytes, /) -> None:
        """Forget the next bytes."""


def _has_module(code: Any) -> bool:
    """Whether a class or function says where it is defined, which some made in C do not."""
    try:
        return bool(code.__module__)
    except AttributeError:
        return False


def _ordered(mapping: Any) -> Any:
    # A torch module holds a dozen of these, nearly always empty: their own way to be pickled is slow.
    return NotImplemented if mapping or vars(mapping) else _EMPTY


def _by_itself(_: object) -> Any:
    return NotImplemented
