"""Batches whose random numbers depend on their place in the run alone, not on the process that loads them."""

from collections.abc import Callable
from typing import Any

from rlx_runner._data.generators import generators_in, seeded
from rlx_runner._offers import method

Key = tuple[int, Any]
"""A seed, and which samples a batch has."""


class KeyedDataset:
    """Makes whole batches of a data set, each with random numbers of its own; runs in workers too.

    Args:
        dataset: Has an item for each index.
        collate: Makes a batch of samples.
        is_batched: Whether a key names several samples, rather than one item that is a batch already.
    """

    def __init__(self, dataset: Any, collate: Callable[[Any], Any], *, is_batched: bool) -> None:
        self._dataset = dataset
        self._collate = collate
        self._is_batched = is_batched
        self._generators: list[Any] | None = None

    def __getitem__(self, key: Key) -> Any:
        seed, indices = key
        if self._generators is None:
            self._generators = list(generators_in(self._dataset, self._collate))
        with seeded((seed,), self._generators):
            return self._collate(self._fetch(indices))

    def _fetch(self, indices: Any) -> Any:
        if not self._is_batched:
            return self._dataset[indices]
        at_once = method(self._dataset, "__getitems__")
        return [self._dataset[index] for index in indices] if at_once is None else at_once(indices)


def unchanged(batch: Any) -> Any:
    """Return `batch`: it is collated already."""
    return batch
