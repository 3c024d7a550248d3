"""The order of the batches of one epoch, and how many of them are taken."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np


class EpochOrder:
    """Says which samples each batch of an epoch has; iterating yields those to come, each with a seed.

    Args:
        is_batched: Whether a batch has several samples, rather than being one item of the data set.
    """

    def __init__(self, *, is_batched: bool) -> None:
        self._is_batched = is_batched
        self.seed = 0
        self._indices: Any = []
        self._ends: Any = []
        self.taken = 0

    @property
    def is_done(self) -> bool:
        """Whether all batches are taken."""
        return self.taken == len(self)

    def draw(self, batches: Iterable[Any], seed: int) -> None:
        """Begin an epoch with the order that a sampler gives."""
        drawn = [list(batch) if self._is_batched else [batch] for batch in batches]
        self._indices = _packed([index for batch in drawn for index in batch])
        self._ends = np.cumsum([len(batch) for batch in drawn], dtype=np.int64)
        self.seed, self.taken = seed, 0

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        for number in range(self.taken, len(self)):
            begin = int(self._ends[number - 1]) if number else 0
            samples = _plain(self._indices[begin : int(self._ends[number])])
            yield self.seed + number, samples if self._is_batched else samples[0]

    def state_dict(self) -> dict[str, Any]:
        """Return everything as plain values and arrays."""
        return {"seed": self.seed, "indices": self._indices, "ends": self._ends, "taken": self.taken}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.seed, self.taken = state["seed"], state["taken"]
        self._indices, self._ends = state["indices"], state["ends"]


def _packed(indices: list[Any]) -> Any:
    """Return whole numbers as an array, which a snapshot holds at 8 bytes each; others as they are."""
    return np.array(indices, np.int64) if all(type(index) is int for index in indices) else indices


def _plain(indices: Any) -> Any:
    return indices.tolist() if isinstance(indices, np.ndarray) else indices
