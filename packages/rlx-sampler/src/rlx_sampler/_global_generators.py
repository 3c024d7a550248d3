"""The global generators of Python, NumPy and torch: seeded for one episode, watched, and put back.

Policies and environments may draw from `random`, `numpy.random` or torch's default generator.
Run one at a time with these seeded, their episodes depend on their keys alone.
"""

import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

_numpy_random: Any = np.random  # its types do not know `get_bit_generator`


@dataclass(frozen=True, slots=True)
class GlobalState:
    """The states of all global generators at one moment; torch's and its devices' where it is loaded."""

    python: Any
    numpy_bits: Any
    """NumPy's global bit generator itself: a program may have set one of another kind."""
    numpy: Any
    torch: Any
    devices: Any

    @classmethod
    def read(cls) -> Self:
        """Return the present states."""
        torch = sys.modules.get("torch")
        has_devices = torch is not None and torch.cuda.is_initialized()
        return cls(
            random.getstate(),
            _numpy_random.get_bit_generator(),
            np.random.get_state(legacy=False),
            None if torch is None else torch.get_rng_state(),
            torch.cuda.get_rng_state_all() if torch is not None and has_devices else None,
        )

    def is_present(self) -> bool:
        """Whether nobody has drawn since."""
        now = GlobalState.read()
        return (
            self.python == now.python
            and self.numpy_bits is now.numpy_bits
            and _same(self.numpy, now.numpy)
            and _same(self.torch, now.torch)
            and _same(self.devices, now.devices)
        )

    def put_back(self) -> None:
        """Set all generators to these states."""
        random.setstate(self.python)
        _numpy_random.set_bit_generator(self.numpy_bits)
        np.random.set_state(self.numpy)
        torch = sys.modules.get("torch")
        if torch is not None and self.torch is not None:
            torch.set_rng_state(self.torch)
        if torch is not None and self.devices is not None:
            torch.cuda.set_rng_state_all(self.devices)


def _same(one: Any, other: Any) -> bool:
    """Whether two states, which are arrays, tensors, or dicts or lists with such, are equal."""
    if isinstance(one, dict):
        return isinstance(other, dict) and all(_same(one[name], other[name]) for name in one)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(one, list):
        return isinstance(other, list) and all(map(_same, one, other))  # pyright: ignore[reportUnknownArgumentType]
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))


@contextmanager
def generators_kept() -> Generator[GlobalState]:
    """Put all global generators back at the end, to the states that are yielded."""
    state = GlobalState.read()
    try:
        yield state
    finally:
        state.put_back()


@contextmanager
def seeded_globally(seed: int) -> Generator[None]:
    """Seed Python's, NumPy's and, where it is loaded, torch's generators; restore them at the end."""
    with generators_kept():
        seed_globally(seed)
        yield


def seed_globally(seed: int) -> None:
    """Seed Python's, NumPy's and, where it is loaded, torch's generators."""
    random.seed(seed)
    if not isinstance(_numpy_random.get_bit_generator(), np.random.MT19937):
        _numpy_random.set_bit_generator(np.random.MT19937())  # the only kind that can be seeded again
    np.random.seed(seed)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.random.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)


@contextmanager
def one_torch_thread() -> Generator[None]:
    """Let torch compute on one thread, where it is loaded: other numbers give other last bits."""
    torch = sys.modules.get("torch")
    if torch is None or torch.get_num_threads() == 1:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
