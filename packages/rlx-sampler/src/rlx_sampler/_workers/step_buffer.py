"""The steps of all lanes, recorded side by side in rings that grow when they must."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from rlx_sampler._batches.trees import Array

FIRST_CAPACITY: Final = 64


class StepBuffer:
    """One ring a recorded array; row t of every ring holds step t of all lanes.

    Writing copies, so an array that is changed after it was recorded does no harm.
    """

    def __init__(self, n_lanes: int, samples: Sequence[Array]) -> None:
        """Take dtypes and row shapes from `samples`, each (at least n_lanes, ...)."""
        self._n_lanes = n_lanes
        self._capacity = FIRST_CAPACITY
        self._rings = [
            np.empty((FIRST_CAPACITY, n_lanes, *sample.shape[1:]), sample.dtype) for sample in samples
        ]
        self._rewards = np.zeros((FIRST_CAPACITY, n_lanes))
        self._oldest = 0
        self.now = 0
        """Number of steps written so far."""

    def write(self, arrays: Sequence[Array], oldest: Callable[[], int]) -> Array:
        """Record the next step.

        Args:
            arrays: In the order of the samples.
            oldest: Returns the first step that is still needed; called when the rings are full.

        Returns:
            Where the rewards of the step go, (n_lanes,).
        """
        if self.now - self._oldest >= self._capacity:
            self._make_room(oldest())
        row = self.now % self._capacity
        for position, (ring, array) in enumerate(zip(self._rings, arrays, strict=True)):
            wide = ring if array.dtype == ring.dtype else self._widen(position, array.dtype)
            wide[row, : len(array)] = array[: self._n_lanes]
        self.now += 1
        rewards: Array = self._rewards[row]
        return rewards

    def _widen(self, position: int, dtype: np.dtype[Any]) -> Array:
        self._rings[position] = self._rings[position].astype(
            np.result_type(self._rings[position].dtype, dtype)
        )
        return self._rings[position]

    def _make_room(self, oldest: int) -> None:
        self._oldest = oldest
        if self.now - oldest >= self._capacity:
            self._rings = [self._grown(ring) for ring in self._rings]
            self._rewards = self._grown(self._rewards)
            self._capacity *= 2

    def _grown(self, ring: Array) -> Array:
        kept = np.arange(self._oldest, self.now)
        grown = np.empty((2 * self._capacity, *ring.shape[1:]), ring.dtype)
        grown[kept % (2 * self._capacity)] = ring[kept % self._capacity]
        return grown

    def take(self, steps: Array, lanes: Array) -> list[Array]:
        """Return what the lanes recorded at the steps, (len(steps), ...): copies, in the order of the samples."""
        rows = steps % self._capacity
        return [ring[rows, lanes] for ring in self._rings]

    def rewards(self, steps: Array, lanes: Array | int) -> Array:
        """Return the rewards of the lanes at the steps."""
        rewards: Array = self._rewards[steps % self._capacity, lanes]
        return rewards
