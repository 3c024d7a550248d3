"""The variables of a loop: read when a snapshot is made, set when one is restored."""

import dis
import types
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_LOADS = frozenset({"LOAD_DEREF", "LOAD_GLOBAL", "LOAD_NAME"})
_FRAME = frozenset({"RESUME", "COPY_FREE_VARS", "BUILD_TUPLE", "RETURN_VALUE", "CACHE", "NOP"})


class Variables(Generic[T]):
    """What a function without arguments returns: variables that the loop sets again and again.

    Args:
        get: Such as ``lambda: (observation, done)``.
    """

    def __init__(self, get: Callable[[], T]) -> None:
        self._get = get

    def read(self) -> T:
        """Return the present values."""
        return self._get()

    def assign(self, values: Any) -> bool:
        """Set the variables themselves; return False where `get` is no list of names, so that nobody can."""
        names = self.names
        if not names:
            return False
        for name, value in zip(names, values if self._is_tuple else (values,), strict=True):
            self._set(name, value)
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that `get` names, in order; none where it does more than that."""
        if not isinstance(self._get, types.FunctionType):
            return ()
        steps = list(dis.get_instructions(self._get))
        if any(step.opname not in _LOADS | _FRAME for step in steps):
            return ()
        return tuple(str(step.argval) for step in steps if step.opname in _LOADS)

    @property
    def _is_tuple(self) -> bool:
        return any(step.opname == "BUILD_TUPLE" for step in dis.get_instructions(self._get))

    def _set(self, name: str, value: Any) -> None:
        get: Any = self._get
        cells = dict(zip(get.__code__.co_freevars, get.__closure__ or (), strict=True))
        if name in cells:
            cells[name].cell_contents = value
        else:
            get.__globals__[name] = value
