"""The batches of a DataLoader, from a position that a snapshot can hold."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rlx_runner._data.indexed import IndexedEpochs
from rlx_runner._offers import offered

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from rlx_runner._data.stream import StreamEpochs

BatchT = TypeVar("BatchT")


class Batches(Generic[BatchT]):
    """An endless iterator over the batches of a DataLoader, epoch after epoch, that resumes in mid-epoch exactly.

    Its state is the order of this epoch and how many batches the loop has taken, whatever workers have loaded ahead. A
    resume skips what is taken without loading it. Random numbers are drawn for each batch again, so that they are the same
    for any number of workers: Python's, NumPy's and torch's global generators and those that the data set holds are seeded
    for it, and put back afterwards.

    An IterableDataset is read again up to where it was; one that has ``state_dict`` and ``load_state_dict`` continues
    without that, where the loader is a StatefulDataLoader of torchdata.

    Args:
        loader: Its data set, sampler, ``collate_fn`` and settings of workers are used; ``set_epoch`` of its sampler is called.

    Raises:
        TypeError: If it is no DataLoader, or its sampler has no end.
        ValueError: If the loader gives batches in the order in which they happen to be ready.

    Example::

        batches = Batches(DataLoader(dataset, batch_size=64, shuffle=True, num_workers=4))
        run = Checkpoint("run", model=model, optimizer=optimizer, batches=batches)
        for step in run.steps(n_epochs * len(batches), every=1000):
            inputs, labels = next(batches)
    """

    def __init__(self, loader: "DataLoader[BatchT]") -> None:
        self._epochs = _epochs_of(loader)
        self._batches: Iterator[BatchT] | None = None

    @property
    def epoch(self) -> int:
        """The number of the epoch that the last batch was of, counted from 0."""
        return self._epochs.number

    def __len__(self) -> int:
        """Return how many batches an epoch has."""
        return len(self._epochs)

    def __iter__(self) -> Iterator[BatchT]:
        return self

    def __next__(self) -> BatchT:
        for _ in range(2):  # the rest of an epoch, or else the next one
            if self._batches is None:
                self._batches = iter(self._epochs)
            for batch in self._batches:
                return batch
            self._batches = None
        raise ValueError(
            "the loader must have at least one batch an epoch; its data set or sampler is empty."
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch, its order, and how far it is."""
        return self._epochs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue with the batch after the last one that was taken."""
        self._epochs.load_state_dict(state)
        self._batches = None  # with what workers have loaded ahead


def _epochs_of(given: object) -> "IndexedEpochs | StreamEpochs":
    from torch.utils.data import DataLoader, IterableDataset

    loader: Any = given
    if not isinstance(given, DataLoader):
        raise TypeError(f"loader is {loader!r}; it must be a DataLoader of torch.")
    if offered(loader, "in_order") is False:
        raise ValueError(
            "loader must give batches in order, not as they are ready (in_order=False), which is different each time."
        )
    if not isinstance(loader.dataset, IterableDataset):
        return IndexedEpochs(loader)
    from rlx_runner._data.stream import StreamEpochs  # which needs torch

    return StreamEpochs(loader)
