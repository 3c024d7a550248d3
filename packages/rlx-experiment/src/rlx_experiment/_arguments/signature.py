"""What an experiment can be called with: its function's parameters without ``ctxt``, all by keyword.

A plain function is asked directly; `inspect`, which takes longer to import than a launch takes, is for the rest.
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
"""Bits of ``co_flags``, as `inspect` documents them."""


class Parameters(NamedTuple):
    """The parameters of an experiment."""

    names: tuple[str, ...] = ()
    """In declared order."""
    defaults: Mapping[str, Any] = types.MappingProxyType({})
    positional: frozenset[str] = frozenset()
    """Those that the function itself takes by position only."""
    by_position: tuple[str, ...] = ()
    """Those that it can take by position."""
    variadic: str = ""
    """Name of its ``*names``, which are passed under it as one tuple; empty without."""
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
        more = tuple(kwargs.get(self.variadic, ()))
        leading = [name for name in self.by_position if more or name in self.positional]
        while leading and not more and leading[-1] not in kwargs:  # these have their defaults
            leading.pop()
        positional = [kwargs[name] if name in kwargs else self.defaults[name] for name in leading]
        named = {name: value for name, value in kwargs.items() if name not in (*leading, self.variadic)}
        return function(context, *positional, *more, **named)


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
    count = code.co_argcount + code.co_kwonlyargcount
    variadic = code.co_varnames[count : count + 1] if code.co_flags & _TAKES_ANY_POSITION else ()
    by_keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    _check_first((*by_position, *by_keyword), function)
    given = function.__defaults__ or ()
    defaults = dict(zip(by_position[len(by_position) - len(given) :], given, strict=True))
    return Parameters(
        names=(*by_position[1:], *variadic, *by_keyword),
        defaults=defaults | dict.fromkeys(variadic, ()) | (function.__kwdefaults__ or {}),
        positional=frozenset(by_position[1 : code.co_posonlyargcount]),
        by_position=by_position[1:],
        variadic="".join(variadic),
        any_keyword=bool(code.co_flags & _TAKES_ANY_KEYWORD),
    )


def _read_signature(signature: "inspect.Signature", function: Function) -> Parameters:
    declared = list(signature.parameters.values())
    _check_first([parameter.name for parameter in declared], function)
    named = [p for p in declared[1:] if p.kind is not p.VAR_KEYWORD]
    variadic = [p.name for p in named if p.kind is p.VAR_POSITIONAL]
    defaults: dict[str, Any] = {p.name: p.default for p in named if p.default is not p.empty}
    return Parameters(
        names=tuple(p.name for p in named),
        defaults=defaults | dict.fromkeys(variadic, ()),
        positional=frozenset(p.name for p in named if p.kind is p.POSITIONAL_ONLY),
        by_position=tuple(p.name for p in named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)),
        variadic="".join(variadic),
        any_keyword=any(p.kind is p.VAR_KEYWORD for p in declared),
    )


def _check_first(names: "tuple[str, ...] | list[str]", function: Function) -> None:
    if not names or names[0] != "ctxt":
        found = f"instead of {names[0]!r}" if names else "and there is none"
        raise ValueError(f"the first parameter of an experiment should be named 'ctxt' {found}: {function!r}")


def public_signature(function: Function) -> "inspect.Signature":
    """Return the signature of `function` as callers of the template see it: without ctxt, all by keyword.

    ``*names`` is one keyword parameter, a tuple.
    """
    import inspect

    signature = inspect.signature(function)
    return signature.replace(parameters=[*map(_by_keyword, [*signature.parameters.values()][1:])])


def _by_keyword(parameter: "inspect.Parameter") -> "inspect.Parameter":
    if parameter.kind is parameter.VAR_KEYWORD:
        return parameter
    by_keyword = parameter.replace(kind=parameter.KEYWORD_ONLY)
    if parameter.kind is parameter.VAR_POSITIONAL:
        return by_keyword.replace(default=(), annotation=parameter.empty)
    return by_keyword


def declared_types(function: Function) -> dict[str, Any]:
    """Return the annotations of `function` but that of ctxt, those written as text evaluated.

    That of ``*names`` is the type of one of them.

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
