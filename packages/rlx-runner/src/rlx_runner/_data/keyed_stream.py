"""An IterableDataset whose random numbers depend on the place in the stream alone, not on when it is read."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from rlx_runner._data.generators import generators_in, seeded
from rlx_runner._offers import stateful


class KeyedStream(IterableDataset[Any]):
    """Yields what a data set yields, each item with random numbers of its own.

    Args:
        dataset: The data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.seed = 0
        self.epochs_begun = 0
        """Counted here, as workers that stay hear of nothing else."""
        self._dataset = dataset
        self._number = 0
        self._is_done = False
        self._generators: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[Any]:
        self.epochs_begun += 1
        self._number, self._is_done = 0, False
        return self._items()

    def _items(self) -> Iterator[Any]:
        worker = get_worker_info()
        place = (self.seed, self.epochs_begun, 0 if worker is None else worker.id)
        if self._generators is None:
            self._generators = list(generators_in(self._dataset))
        items = iter(self._dataset)
        while True:
            with seeded((*place, self._number), self._generators):
                try:
                    item = next(items)
                except StopIteration:
                    self._is_done = True
                    return
            self._number += 1
            yield item


class StatefulKeyedStream(KeyedStream):
    """The same for a data set that has a state itself."""

    def __init__(self, dataset: Any) -> None:
        super().__init__(dataset)
        self._is_loaded = False

    def __iter__(self) -> Iterator[Any]:
        is_loaded, self._is_loaded = self._is_loaded, False
        if not is_loaded:
            return super().__iter__()
        self.epochs_begun += 1
        return iter(()) if self._is_done else self._items()

    def state_dict(self) -> dict[str, Any]:
        """Return the data set's state, and how far it is."""
        return {"number": self._number, "is_done": self._is_done, "dataset": self._dataset.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from there; a data set that was at its end begins again only with the next epoch."""
        self._dataset.load_state_dict(state["dataset"])
        self._number, self._is_done = state["number"], state["is_done"]
        self._is_loaded = True


def keyed_stream(dataset: Any) -> KeyedStream:
    """Return `dataset` with random numbers by place."""
    return KeyedStream(dataset) if stateful(dataset) is None else StatefulKeyedStream(dataset)
