"""List every public name with its parameters: one line each, so that a change of the API is a diff.

``python public_api.py`` prints the list; `nox -s api` puts it into public-api.txt.
"""

from __future__ import annotations

import enum
import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final, Protocol

PACKAGES: Final = (
    "rlx_protocols",
    "rlx_protocols.testing",
    "rlx_snapshot",
    "rlx_experiment",
    "rlx_sampler",
    "rlx_runner",
    "rlx_runner.sb3",
    "rlx_runner.tianshou",
    "rlx_persistence",
    "rlx_logging",
)
PLAIN: Final = (bool, int, float, str, bytes, type(None), tuple)


def lines() -> Iterator[str]:
    """Describe every name that a package exports and whose libraries are here."""
    for package in PACKAGES:
        try:
            module = importlib.import_module(package)
        except ModuleNotFoundError:
            continue
        for name in sorted(module.__all__):
            try:
                thing = getattr(module, name)
            except ImportError:
                continue
            yield from describe(f"{package}.{name}", thing)


def describe(name: str, thing: Any) -> Iterator[str]:
    """Describe one exported thing, and the members of a class."""
    if not inspect.isclass(thing):
        yield name + (parameters(thing) if inspect.isfunction(thing) else "")
        return
    bases = ", ".join(base.__name__ for base in thing.__bases__ if base is not object)
    yield f"{name} is a class" + (f" of {bases}" if bases else "")
    if not issubclass(thing, enum.Enum) and own_constructor(thing):
        yield name + parameters(thing)
    for member in sorted(own_members(thing)):
        yield from describe_member(f"{name}.{member}", inspect.getattr_static(thing, member))


def own_constructor(kind: type[Any]) -> bool:
    """Whether a class of ours, and not one of Python's, says how it is built. A protocol is not built."""
    return Protocol not in kind.__bases__ and any(
        "__init__" in vars(base) or "__new__" in vars(base) for base in ours(kind)
    )


def own_members(kind: type[Any]) -> set[str]:
    """Public members that a class has from rlx."""
    return {name for base in ours(kind) for name in vars(base) if not name.startswith("_")}


def ours(kind: type[Any]) -> list[type[Any]]:
    """The classes of rlx among a class and its bases."""
    return [base for base in kind.__mro__ if base.__module__.startswith("rlx_")]


def describe_member(name: str, member: Any) -> Iterator[str]:
    """Describe one member of a class."""
    function = inspect.unwrap(member)  # of a class method or static method too
    if inspect.isclass(member) and "." in member.__qualname__:  # defined here, not merely referred to
        yield from describe(name, member)
    elif inspect.isfunction(function):
        yield name + parameters(function)
    else:
        yield name


def parameters(thing: Any) -> str:
    """The parameters without their types; a default that is no plain value shows as three dots."""
    signature = inspect.signature(thing)
    kept = [
        bare(parameter)
        for parameter in signature.parameters.values()
        if parameter.name not in {"self", "cls"}
    ]
    return str(signature.replace(parameters=kept, return_annotation=inspect.Signature.empty))


def bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """A parameter without its type."""
    default = parameter.default
    if default is not inspect.Parameter.empty and not isinstance(default, PLAIN):
        default = Dots()
    return parameter.replace(annotation=inspect.Parameter.empty, default=default)


class Dots:
    """Shows as three dots."""

    def __repr__(self) -> str:
        return "..."


if __name__ == "__main__":
    print("\n".join(lines()))
