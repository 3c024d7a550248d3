"""What an experiment can be called with: its function's parameters without ``ctxt``, all by keyword.

A plain function is asked directly; :mod:`inspect`, which takes longer to import than a launch takes, is for the rest.
"""

import functools
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    import inspect

Function = Callable[..., Any]

_TAKES_ANY_POSITION: Final = 0x04
_TAKES_ANY_KEYWORD: Final = 0x08
"""Bits of ``co_flags``, as :mod:`inspect` documents them."""


class Parameters(NamedTuple):
    """The parameters of an experiment."""

    names: tuple[str, ...] = ()
    """In declared order."""
    defaults: Mapping[str, Any] = types.MappingProxyType({})
    positional: frozenset[str] = frozenset()
    """Those that the function itself takes by position only."""
    any_keyword: bool = False
    """Whether the function has ``**kwargs``."""

    def bind(self, kwargs: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is passed, in declared order, and all arguments with defaults.

        Raises:
            TypeError: An argument is missing, or not known.
        """
        for name in kwargs:
            if name == "ctxt" or (name not in self.names and not self.any_keyword):
                raise TypeError(
                    f"got an unexpected argument {name!r}; known are {', '.join(self.names) or 'none'}"
                )
        missing = [name for name in self.names if name not in kwargs and name not in self.defaults]
        if missing:
            raise TypeError(f"missing a required argument: {', '.join(map(repr, missing))}")
        extra = {name: value for name, value in kwargs.items() if name not in self.names}
        passed = {name: kwargs[name] for name in self.names if name in kwargs}
        complete = {name: kwargs[name] if name in kwargs else self.defaults[name] for name in self.names}
        return passed | extra, complete | extra

    def call(self, function: Function, context: object, kwargs: Mapping[str, Any]) -> Any:
        """Call `function`, whose parameters these are, also where it takes some by position only."""
        positional = [kwargs[name] for name in self.names if name in self.positional and name in kwargs]
        rest = {name: value for name, value in kwargs.items() if name not in self.positional}
        return function(context, *positional, **rest)


def read_parameters(function: Function) -> Parameters:
    """Return the parameters of an experiment function.

    Raises:
        ValueError: The first one is not called ctxt.
    """
    if isinstance(function, types.FunctionType) and not vars(function).keys() & {
        "__wrapped__",
        "__signature__",
    }:
        return _read_plain(function)
    import inspect

    return _read_signature(inspect.signature(function), function)


def _read_plain(function: types.FunctionType) -> Parameters:
    code = function.__code__
    by_position = code.co_varnames[: code.co_argcount]
    by_keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    _check_first((*by_position, *by_keyword), function)
    given = function.__defaults__ or ()
    defaults = dict(zip(by_position[len(by_position) - len(given) :], given, strict=True))
    return Parameters(
        names=(*by_position[1:], *by_keyword),
        defaults=defaults | (function.__kwdefaults__ or {}),
        positional=frozenset(by_position[1 : code.co_posonlyargcount]),
        any_keyword=bool(code.co_flags & _TAKES_ANY_KEYWORD),
    )


def _read_signature(signature: "inspect.Signature", function: Function) -> Parameters:
    declared = list(signature.parameters.values())
    _check_first([parameter.name for parameter in declared], function)
    named = [p for p in declared[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return Parameters(
        names=tuple(p.name for p in named),
        defaults={p.name: p.default for p in named if p.default is not p.empty},
        positional=frozenset(p.name for p in named if p.kind is p.POSITIONAL_ONLY),
        any_keyword=any(p.kind is p.VAR_KEYWORD for p in declared),
    )


def _check_first(names: "tuple[str, ...] | list[str]", function: Function) -> None:
    if not names or names[0] != "ctxt":
        found = f"instead of {names[0]!r}" if names else "and there is none"
        raise ValueError(f"the first parameter of an experiment should be named 'ctxt' {found}: {function!r}")


def public_signature(function: Function) -> "inspect.Signature":
    """Return the signature of `function` as callers of the template see it: without ctxt, all by keyword."""
    import inspect

    signature = inspect.signature(function)
    keyword_only = [
        parameter
        if parameter.kind is inspect.Parameter.VAR_KEYWORD
        else parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in [*signature.parameters.values()][1:]
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]
    return signature.replace(parameters=keyword_only)


def declared_types(function: Function) -> dict[str, Any]:
    """Return the annotations of `function` but that of ctxt, those written as text evaluated.

    Raises:
        ValueError: One means nothing where the function was defined, as one that only type checkers import.
    """
    import typing

    inner = unwrap(function)
    try:
        written = {
            name: hint for name, hint in inner.__annotations__.items() if name not in ("ctxt", "return")
        }
    except AttributeError:  # a partial, or an object with __call__
        return {}
    names = inner.__globals__ if isinstance(inner, types.FunctionType) else {}
    stand_in = types.SimpleNamespace(__annotations__=written)
    try:
        return typing.get_type_hints(stand_in, globalns=names, include_extras=True)
    except NameError as error:
        raise ValueError(
            f"an annotation of {function!r} cannot be evaluated: {error}; import what it names where the program "
            "runs, too, not for type checkers only"
        ) from error


def unwrap(function: Function) -> Function:
    """Return the function that decorators were applied to, as they recorded it in ``__wrapped__``."""
    while isinstance(function, types.FunctionType) and "__wrapped__" in vars(function):
        function = vars(function)["__wrapped__"]
    return function.func if isinstance(function, functools.partial) else function
