"""Random generators that objects hold: found, seeded, and put back."""

import random
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rlx_runner._checkpoint.attributes import attributes, is_plain_object
from rlx_runner._random import seed_generators, undisturbed_random

_MANY: Final = 1000
"""A collection of more elements is one of data, and is not searched for generators."""


@dataclass(frozen=True)
class _Kind:
    """How generators of one class are handled.

    Args:
        holds: Whether a value is of this kind.
        seed: Seeds it.
        read: Returns its state.
        write: Sets its state.
    """

    holds: Callable[[Any], bool]
    seed: Callable[[Any, int], object]
    read: Callable[[Any], Any]
    write: Callable[[Any, Any], object]


def _is_torch_generator(value: Any) -> bool:
    torch: Any = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Generator)


def _write_numpy(generator: Any, state: Any) -> None:
    generator.bit_generator.state = state


_KINDS: Final = (
    _Kind(
        lambda value: isinstance(value, np.random.Generator),
        lambda generator, seed: _write_numpy(generator, type(generator.bit_generator)(seed).state),
        lambda generator: generator.bit_generator.state,
        _write_numpy,
    ),
    _Kind(
        lambda value: isinstance(value, np.random.RandomState),
        lambda generator, seed: generator.seed(seed),
        lambda generator: generator.get_state(),
        lambda generator, state: generator.set_state(state),
    ),
    _Kind(
        lambda value: isinstance(value, random.Random),
        lambda generator, seed: generator.seed(seed),
        lambda generator: generator.getstate(),
        lambda generator, state: generator.setstate(state),
    ),
    _Kind(
        _is_torch_generator,
        lambda generator, seed: generator.manual_seed(seed),
        lambda generator: generator.get_state(),
        lambda generator, state: generator.set_state(state),
    ),
)


def generators_in(*values: Any) -> Iterator[Any]:
    """Yield the random generators to which `values` refer, through attributes and small collections."""
    waiting, seen = list(values), set[int]()
    while waiting:
        part = waiting.pop(0)
        if id(part) in seen:
            continue
        seen.add(id(part))
        if any(kind.holds(part) for kind in _KINDS):
            yield part
        else:
            waiting.extend(_parts(part))


@contextmanager
def seeded(seed: tuple[int, ...], generators: list[Any]) -> Generator[None]:
    """Seed the global generators and `generators` for a while; put all of them back afterwards."""
    before = states_of(generators)
    first, *others = np.random.SeedSequence(seed).generate_state(1 + len(generators)).tolist()
    with undisturbed_random():
        seed_generators(first)
        for generator, number in zip(generators, others, strict=True):
            _kind_of(generator).seed(generator, number)
        try:
            yield
        finally:
            set_states(generators, before)


def states_of(generators: list[Any]) -> list[Any]:
    """Return the states of generators, in order."""
    return [_kind_of(generator).read(generator) for generator in generators]


def set_states(generators: list[Any], states: list[Any]) -> None:
    """Give generators the states that `states_of` returned."""
    for generator, state in zip(generators, states, strict=True):
        _kind_of(generator).write(generator, state)


def _kind_of(generator: Any) -> _Kind:
    return next(kind for kind in _KINDS if kind.holds(generator))


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict | list | tuple):
        items: Any = value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]
        return list(items) if len(items) <= _MANY else []
    return list(attributes(value).values()) if is_plain_object(value) else []
