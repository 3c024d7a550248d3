"""Seeding the global generators for one episode, and putting them back.

This is for policies that draw their noise from `random`, `numpy.random` or torch's
default generator: run one at a time, their episodes then depend on their keys alone.
"""

import random
import sys
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np


@contextmanager
def generators_kept() -> Generator[None]:
    """Put Python's, NumPy's and, where it is loaded, torch's generators back at the end, devices' too."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = None if torch is None else torch.get_rng_state()
    device_states = (
        None if torch is None or not torch.cuda.is_initialized() else torch.cuda.get_rng_state_all()
    )
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if torch is not None:
            torch.set_rng_state(torch_state)
        if torch is not None and device_states is not None:
            torch.cuda.set_rng_state_all(device_states)


@contextmanager
def seeded_globally(seed: int) -> Generator[None]:
    """Seed Python's, NumPy's and, where it is loaded, torch's generators; restore them at the end."""
    with generators_kept():
        seed_globally(seed)
        yield


def seed_globally(seed: int) -> None:
    """Seed Python's, NumPy's and, where it is loaded, torch's generators."""
    random.seed(seed)
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
