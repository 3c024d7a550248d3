"""Seeds for the episodes that begin within one stretch of time."""

import numpy as np


class FragmentSeeds:
    """Gives one seed after the other; most stretches need none, and a generator has its price.

    Args:
        seed: The seed of the stretch's key.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng: np.random.Generator | None = None

    def next(self) -> int:
        """Return the next seed."""
        if self._rng is None:
            self._rng = np.random.default_rng(self._seed)
        return int(self._rng.integers(2**31, dtype=np.int64))
