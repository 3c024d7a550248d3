"""Epochs of an IterableDataset: torchdata's loader continues one that has a state, others are read again."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from rlx_runner._data.generators import seeded
from rlx_runner._data.keyed_stream import keyed_stream
from rlx_runner._offers import offered, stateful


class StreamEpochs:
    """The epochs of a DataLoader whose data set has no indices.

    Args:
        loader: The loader.
    """

    def __init__(self, loader: Any) -> None:
        self._dataset = keyed_stream(loader.dataset)
        self._loader = _with_dataset(loader, self._dataset)
        self._continues = stateful(self._loader) is not None and stateful(self._dataset) is not None
        self._is_done = True
        self._taken = 0
        self._skipped = 0
        self.number = -1

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        if self._is_done:
            self._begin()
        self._dataset.epochs_begun = self.number
        with seeded((self._dataset.seed,), []):  # from which the loader seeds its workers
            batches = iter(self._loader)
        skipped, self._skipped = self._skipped, 0
        for batch in islice(batches, skipped, None):
            self._taken += 1
            yield batch
        self._is_done = True

    def state_dict(self) -> dict[str, Any]:
        """Return the number of the epoch, and how far it is."""
        inside = self._continues and not self._is_done
        return {
            "number": self.number,
            "seed": self._dataset.seed,
            "is_done": self._is_done,
            "taken": self._taken,
            "loader": self._loader.state_dict() if inside else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was called."""
        self.number, self._dataset.seed = state["number"], state["seed"]
        self._is_done, self._taken = state["is_done"], state["taken"]
        self._skipped = 0 if self._continues or self._is_done else self._taken
        if state["loader"] is not None:
            self._loader.load_state_dict(state["loader"])

    def _begin(self) -> None:
        import torch

        self._is_done, self._taken = False, 0
        self.number += 1
        if self.number == 0:
            self._dataset.seed = int(torch.empty((), dtype=torch.int64, device="cpu").random_().item())


def _with_dataset(loader: Any, dataset: Any) -> Any:
    """Return a loader of the same class and settings for another data set."""
    every = offered(loader, "snapshot_every_n_steps")
    return type(loader)(
        dataset,
        batch_size=loader.batch_size,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
        **({} if every is None else {"snapshot_every_n_steps": every}),
    )
