"""Calls written into a pickle: the loading side needs the called functions, but not this package.

A pickle is a small program. What cannot be stored as a value is stored as calls
of functions of the standard library (or of the library that owns the object),
which every `pickle.load` carries out.
"""

import copyreg
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final

Reduced = tuple[Any, ...]
"""What a reducer returns: the tuple that `object.__reduce__` documents."""

Reducer = Callable[[Any], Reduced]

NOTHING: Final[Reduced] = (type(None), ())
"""Stands for an object that is not worth saving: None is loaded in its place."""
# From `vars`: type stubs do not know the first, and give the second, unbound, no single type.
_NEW: Final[Callable[..., object]] = vars(copyreg)["__newobj__"]
_UPDATE: Final[Callable[..., object]] = vars(dict)["update"]


class RefusedError(TypeError):
    """A reducer's reason why its object cannot be saved, with the way out in the message."""


class Call:
    """Pickles as the result of ``function(*arguments)``, computed when loaded."""

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self._function = function
        self._arguments = arguments

    def __reduce__(self) -> Reduced:
        return self._function, self._arguments

    def __call__(self, *arguments: object) -> Any:
        """Call what is computed, when loaded; picklers want what they write as a function to be callable."""
        return self._function(*self._arguments)(*arguments)  # type: ignore[operator]


def method(name: str, *arguments: object) -> Callable[..., Any]:
    """A function of one object that calls its method `name`, and pickles."""
    return operator.methodcaller(name, *arguments)


def built_then(
    constructor: Callable[..., object], arguments: tuple[object, ...], calls: Sequence[Call]
) -> Reduced:
    """An object that is built and remembered first, then completed by `calls`, which may refer to it.

    The calls run because the pickle must compute the "state" that it hands to
    the state setter; the setter itself (`operator.is_`) does nothing.
    """
    return constructor, arguments, list(calls), None, None, operator.is_


def with_attributes(instance: object, attributes: dict[str, Any]) -> Reduced:
    """An instance made without its constructor and given `attributes`, whatever its ``__setstate__`` would do."""
    update = Call(_UPDATE, Call(vars, instance), attributes)
    return built_then(_NEW, (type(instance),), [update])


def class_of(obj: object) -> type[object]:
    """The class of an object whose type is not known statically."""
    return type(obj)


def attributes_of(obj: object) -> dict[str, Any]:
    """The live attribute dictionary of an object whose type is not known statically."""
    return vars(obj)
