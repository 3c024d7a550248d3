"""The spaces of environments, whose `sample()` draws from generators of their own."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from rlx_sampler._batches.trees import is_mapping
from rlx_sampler._exactness import layers
from rlx_sampler._offers import all_attributes, is_list

GENERATOR: Final = "_np_random"
"""Where a space keeps its generator; None there until it first draws."""
LIBRARIES: Final = ("gymnasium.spaces", "gym.spaces")


class Spaces:
    """All spaces of some environments: of every wrapper, under any name, and the spaces within these.

    Args:
        environments: Their owners.
    """

    def __init__(self, environments: Iterable[Any]) -> None:
        kinds = tuple(sys.modules[name].Space for name in LIBRARIES if name in sys.modules)
        owned = [space for environment in environments for space in _owned(environment, kinds)]
        self._outermost: list[Any] = list({id(space): space for space in owned}.values())
        parts = [part for space in self._outermost for part in _parts(space, kinds)]
        self._fields: Sequence[dict[str, Any]] = [
            vars(part) for part in {id(part): part for part in parts}.values()
        ]

    def seed(self, seed: int) -> None:
        """Seed all spaces, each in another way."""
        for number, space in enumerate(self._outermost):
            space.seed((seed + number) % 2**31)

    def read(self) -> "SpaceStates":
        """Return the present states of their generators."""
        return SpaceStates(self._fields)


class SpaceStates:
    """The states of the generators of spaces at one moment."""

    def __init__(self, fields: Sequence[dict[str, Any]]) -> None:
        self._fields = fields
        self._generators = [each.get(GENERATOR) for each in fields]
        self._states = [_state_of(generator) for generator in self._generators]

    def is_present(self) -> bool:
        """Whether no space has drawn since."""
        now = [each.get(GENERATOR) for each in self._fields]
        return all(
            generator is before and (generator is None or _state_of(generator) == state)
            for generator, before, state in zip(now, self._generators, self._states, strict=True)
        )

    def put_back(self) -> None:
        """Set all generators to these states."""
        for fields, generator, state in zip(self._fields, self._generators, self._states, strict=True):
            if GENERATOR in fields:
                fields[GENERATOR] = generator
            if generator is not None:
                generator.bit_generator.state = state


def _state_of(generator: Any) -> Any:
    return None if generator is None else generator.bit_generator.state


def _owned(environment: Any, kinds: tuple[type, ...]) -> Iterator[Any]:
    for layer in layers(environment):
        for value in all_attributes(layer).values():
            if isinstance(value, kinds):
                yield value


def _parts(space: Any, kinds: tuple[type, ...]) -> Iterator[Any]:
    """Yield `space` and the spaces that it is made of."""
    yield space
    values: list[Any] = [*all_attributes(space).values()]
    for value in values:
        within: Iterable[Any] = value.values() if is_mapping(value) else value if is_list(value) else [value]
        for each in within:
            if isinstance(each, kinds):
                yield from _parts(each, kinds)
