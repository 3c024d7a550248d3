"""Give live objects a saved state: the same objects continue, and what they share stays shared.

The saved objects are walked beside the live ones. Where two fit each other, the live one gets the
saved one's state; where they do not, as with numbers and simulators of C libraries, the saved one takes the
live one's place. Either way every reference to a saved object becomes one to the live object in its stead.
"""

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from rlx_runner._checkpoint.attributes import class_of, is_tuple
from rlx_runner._checkpoint.kinds import Kind, Parts, kind_of

_NEW_TUPLE: Callable[..., Any] = vars(tuple)["__new__"]


class InPlace:
    """Pairs of a live and a saved object, and what is written when all pairs are known."""

    def __init__(self) -> None:
        self._live: dict[int, Any] = {}
        self._pairs: list[tuple[Kind, Any, Any]] = []
        self._taken: set[int] = set()
        self._kept: list[Any] = []
        self._resolved: dict[int, Any] = {}

    def pair(self, name: str, live: Any, saved: Any) -> Iterator[tuple[str, Any, Any]]:
        """Pair `live` with `saved`, and the parts of both; yield each place where two objects meet, with its path."""
        waiting = [(name, live, saved)]
        while waiting:
            path, mine, other = waiting.pop()
            if mine is other or id(other) in self._live:
                continue
            yield path, mine, other
            kind = kind_of(mine)
            if kind is not None and id(mine) not in self._taken and self._fits(kind, mine, other):
                self._live[id(other)] = mine
                self._taken.add(id(mine))
                self._kept.append(other)
                self._pairs.append((kind, mine, other))
            elif not is_tuple(mine) or type(mine) is not type(other):
                continue
            theirs = dict(_parts(other))
            matches = [(step, part, theirs[step]) for step, part in _parts(mine) if step in theirs]
            waiting.extend((path + step, part, match) for step, part, match in reversed(matches))

    def write(self) -> None:
        """Give every live object of a pair the saved one's state."""
        for kind, mine, other in self._pairs:
            kind.write(mine, other, self.resolve)

    def resolve(self, saved: Any) -> Any:
        """Return the live object for `saved`; one without such is returned itself, with what it refers to resolved."""
        if id(saved) in self._live:
            return self._live[id(saved)]
        if id(saved) in self._resolved:
            return self._resolved[id(saved)]
        if is_tuple(saved):
            return self._rebuilt(saved, self._tuple(saved))
        if isinstance(saved, types.MethodType):
            return self._rebuilt(saved, types.MethodType(saved.__func__, self.resolve(saved.__self__)))
        if _is_partial(saved):
            return self._rebuilt(saved, self._partial(saved))
        self._rebuilt(saved, saved)  # before its parts, which may refer to it
        kind = kind_of(saved)
        if kind is not None:
            replaced = [part for part in kind.references(saved) if self.resolve(part) is not part]
            if replaced:
                kind.write(saved, saved, self.resolve)
        return saved

    def _fits(self, kind: Kind, mine: Any, other: Any) -> bool:
        return kind_of(other) is kind and kind.fits(mine, other)

    def _rebuilt(self, saved: Any, resolved: Any) -> Any:
        self._kept.append(saved)  # its identity is the key
        self._resolved[id(saved)] = resolved
        return resolved

    def _tuple(self, saved: tuple[Any, ...]) -> tuple[Any, ...]:
        elements = [self.resolve(element) for element in saved]
        if all(new is old for new, old in zip(elements, saved, strict=True)):
            return saved
        return tuple(elements) if type(saved) is tuple else _NEW_TUPLE(type(saved), elements)

    def _partial(self, saved: "functools.partial[Any]") -> "functools.partial[Any]":
        arguments = [self.resolve(argument) for argument in saved.args]
        named = {name: self.resolve(argument) for name, argument in saved.keywords.items()}
        return functools.partial(self.resolve(saved.func), *arguments, **named)


def _is_partial(value: Any) -> "TypeGuard[functools.partial[Any]]":
    return class_of(value) is functools.partial


def _parts(value: Any) -> Parts:
    kind = kind_of(value)
    if kind is not None:
        yield from kind.parts(value)
    elif is_tuple(value):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
