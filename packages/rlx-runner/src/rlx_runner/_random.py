"""The global random generators: seeding them, recording them, putting them back.

The root seed is the one piece of module state of this package: users call ``set_seed``
once, before anything of the run exists that could hold it.
"""

import hashlib
import random
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlx_runner._checks import check_whole

MAX_SEED = 2**32 - 1
_GENERATORS: Any = np.random  # type stubs lack the two functions for its global bit generator


_WITH_CLASS = 2
"""Length of the state of a generator that is no Mersenne Twister."""


@dataclass
class _Root:
    seed: int | None = None


_ROOT = _Root()


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and, where it is loaded, torch's global generators, and the run's samplers.

    Import torch before: it begins with a seed of its own, other each time, where it is imported later.

    Args:
        seed: From 0 to 2**32 - 1.

    Raises:
        TypeError: If `seed` is no whole number.
        ValueError: If it is outside that range.
    """
    seed = check_whole("seed", seed)
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed is {seed}; it must lie between 0 and {MAX_SEED}.")
    seed_generators(seed)
    torch = _loaded_torch()
    if torch is not None:
        torch.manual_seed(seed)  # also what devices that are not used yet begin with
    _ROOT.seed = seed


def seed_generators(seed: int) -> None:
    """Seed the global generators of this process, and of its devices that are in use, alone."""
    random.seed(seed)
    if _is_twister(_GENERATORS.get_bit_generator()):
        np.random.seed(seed)
    else:
        _GENERATORS.set_bit_generator(type(_GENERATORS.get_bit_generator())(seed))
    torch = _loaded_torch()
    if torch is not None:
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)


def get_seed() -> int | None:
    """Return the seed given to `set_seed`; None before that."""
    return _ROOT.seed


def restore_seed(seed: int | None) -> None:
    """Take over the root seed of a snapshot, without touching any generator."""
    _ROOT.seed = seed


def capture_random() -> dict[str, Any]:
    """Return the states of the global generators as plain values that any version can unpickle."""
    states: dict[str, Any] = {"python": random.getstate(), "numpy": _capture_numpy()}
    torch = _loaded_torch()
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy().tobytes()
        if torch.cuda.is_initialized():
            states["cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def restore_random(states: Mapping[str, Any]) -> None:
    """Set the global generators to `states`, as `capture_random` gave them."""
    random.setstate(states["python"])
    _restore_numpy(states["numpy"])
    if "torch" in states:
        _restore_torch(states)


def reseeded(states: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return states as `capture_random` gives them, of streams that are other than `states` and any other number's."""
    digest = hashlib.sha256(repr((states["numpy"], number)).encode()).digest()
    with undisturbed_random():
        seed_generators(int.from_bytes(digest[:4], "big"))
        return capture_random()


@contextmanager
def undisturbed_random() -> Generator[None]:
    """Put the global generators back, whatever draws from them meanwhile."""
    states = capture_random()
    try:
        yield
    finally:
        restore_random(states)


def _capture_numpy() -> tuple[Any, ...]:
    """Return the state of NumPy's global generator: of a Mersenne Twister as it is, of others behind their class."""
    source: object = _GENERATORS.get_bit_generator()
    if not _is_twister(source):
        return type(source), np.random.get_state(legacy=False)
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return name, np.asarray(keys, dtype="<u4").tobytes(), position, has_gauss, gauss


def _restore_numpy(saved: tuple[Any, ...]) -> None:
    if len(saved) == _WITH_CLASS:
        cls, state = saved
    else:
        name, keys, *rest = saved
        cls, state = _GENERATORS.MT19937, (name, np.frombuffer(keys, dtype="<u4").copy(), *rest)
    if type(_GENERATORS.get_bit_generator()) is not cls:
        _GENERATORS.set_bit_generator(cls())
    np.random.set_state(state)


def _is_twister(source: Any) -> bool:
    return isinstance(source, _GENERATORS.MT19937)


def _restore_torch(states: Mapping[str, Any]) -> None:
    import torch

    def as_tensor(state: bytes) -> torch.Tensor:
        return torch.frombuffer(bytearray(state), dtype=torch.uint8)

    torch.set_rng_state(as_tensor(states["torch"]))
    if "cuda" in states and torch.cuda.is_available():
        devices = min(len(states["cuda"]), torch.cuda.device_count())
        for device in range(devices):
            torch.cuda.set_rng_state(as_tensor(states["cuda"][device]), device)


def _loaded_torch() -> Any:
    """Return torch where the program has imported it: a run without torch must not pay for it."""
    return sys.modules.get("torch")
