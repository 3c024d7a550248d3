"""The steps of all lanes, recorded side by side in rings that grow when they must."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from rlx_sampler._trees import Array

FIRST_CAPACITY: Final = 64


class Tape:
    """One ring a recorded array; row t of every ring holds step t of all lanes.

    Writing copies, so an array that is changed after it was recorded does no harm.
    """

    def __init__(self, n_lanes: int, samples: Sequence[Array]) -> None:
        """Take dtypes and row shapes from `samples`, each (at least n_lanes, ...)."""
        self._n_lanes = n_lanes
        self._rings = [
            np.empty((FIRST_CAPACITY, n_lanes, *sample.shape[1:]), sample.dtype) for sample in samples
        ]
        self.now = 0
        """Number of steps written so far."""

    def write(self, arrays: Sequence[Array], oldest: int) -> None:
        """Record the next step; `oldest` is the first step that is still needed."""
        capacity = len(self._rings[0])
        if self.now - oldest >= capacity:
            self._grow(oldest)
            capacity = len(self._rings[0])
        row = self.now % capacity
        for position, (ring, array) in enumerate(zip(self._rings, arrays, strict=True)):
            wide = ring if array.dtype == ring.dtype else self._widen(position, array.dtype)
            wide[row] = array[: self._n_lanes]
        self.now += 1

    def _widen(self, position: int, dtype: np.dtype[Any]) -> Array:
        self._rings[position] = self._rings[position].astype(
            np.result_type(self._rings[position].dtype, dtype)
        )
        return self._rings[position]

    def _grow(self, oldest: int) -> None:
        capacity = len(self._rings[0])
        kept = np.arange(oldest, self.now)
        for position, ring in enumerate(self._rings):
            grown = np.empty((2 * capacity, *ring.shape[1:]), ring.dtype)
            grown[kept % (2 * capacity)] = ring[kept % capacity]
            self._rings[position] = grown

    def take(self, lane: int, start: int) -> list[Array]:
        """Return copies of what `lane` recorded from step `start` on, one array a ring."""
        capacity = len(self._rings[0])
        first, stop = start % capacity, start % capacity + self.now - start
        if stop <= capacity:
            return [ring[first:stop, lane].copy() for ring in self._rings]
        return [np.concatenate((ring[first:, lane], ring[: stop - capacity, lane])) for ring in self._rings]
