"""Epochs over a data set with indices, in an order that is drawn when an epoch begins."""

from collections.abc import Iterator, Mapping
from typing import Any

from rlx_runner._data.generators import generators_in, set_states, states_of
from rlx_runner._data.keyed import KeyedDataset, unchanged
from rlx_runner._data.order import EpochOrder
from rlx_runner._offers import method


class IndexedEpochs:
    """The epochs of a DataLoader whose data set has an item for each index.

    Args:
        loader: The DataLoader.

    Raises:
        TypeError: If its sampler has no end.
    """

    def __init__(self, loader: Any) -> None:
        is_batched = loader.batch_sampler is not None
        self._sampler = loader.batch_sampler if is_batched else loader.sampler
        self._in_sampler = loader.sampler
        try:
            len(self._sampler)
        except TypeError:
            raise TypeError(
                f"the sampler of loader must have a length, which {self._sampler!r} has not; an epoch's order is drawn at once."
            ) from None
        self._draws = loader.generator
        self._generators = list(generators_in(loader.generator, self._in_sampler, self._sampler))
        self.number = 0
        self._order = EpochOrder(is_batched=is_batched)
        self._loader = self._keyed(loader, is_batched=is_batched)

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        if self._order.is_done:
            self._begin()
        order = self._order
        self._loader.generator.manual_seed(order.seed)
        for batch in self._loader:
            order.taken += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the number of the epoch, its order, and what the next one is drawn from."""
        drawn_from = states_of(self._generators)
        return {"number": self.number, "order": self._order.state_dict(), "generators": drawn_from}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was called."""
        self.number = state["number"]
        self._order.load_state_dict(state["order"])
        set_states(self._generators, state["generators"])

    def _begin(self) -> None:
        import torch

        if len(self._order):
            self.number += 1
        for sampler in (self._in_sampler, self._sampler):
            set_epoch = method(sampler, "set_epoch")
            if set_epoch is not None:
                set_epoch(self.number)
        seed = torch.empty((), dtype=torch.int64, device="cpu").random_(generator=self._draws)
        self._order.draw(self._sampler, int(seed.item()))

    def _keyed(self, loader: Any, *, is_batched: bool) -> Any:
        """Return a loader with the settings of `loader` that loads the batches of our order."""
        import torch
        from torch.utils.data import DataLoader

        order: Any = self._order
        dataset: Any = KeyedDataset(loader.dataset, loader.collate_fn, is_batched=is_batched)
        made: Any = DataLoader(
            dataset,
            batch_size=None,
            sampler=order,
            collate_fn=unchanged,
            num_workers=loader.num_workers,
            prefetch_factor=loader.prefetch_factor,
            persistent_workers=loader.persistent_workers,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=loader.worker_init_fn,
            multiprocessing_context=loader.multiprocessing_context,
            generator=torch.Generator(),
        )
        return made
