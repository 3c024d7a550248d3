"""Leaving the global random generators as they are."""

import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def generators_kept() -> Generator[None]:
    """Put Python's, NumPy's and torch's generators back at the end, where the program has loaded them."""
    numpy: Any = sys.modules.get("numpy.random")
    torch: Any = sys.modules.get("torch")
    python_state = random.getstate()
    numpy_state = None if numpy is None else numpy.get_state(legacy=False)
    torch_state = None if torch is None else torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy is not None:
            numpy.set_state(numpy_state)
        if torch is not None:
            torch.set_rng_state(torch_state)
