"""The batches of a DataLoader continue in mid-epoch."""

import importlib
import importlib.util
import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_runner import Batches, Checkpoint, set_seed

torch: Any = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, Sampler  # noqa: E402

HAS_TORCHDATA = importlib.util.find_spec("torchdata") is not None
N_ITEMS, BATCH = 22, 4
PER_EPOCH = 6


def noisy(index: int, rng: np.random.Generator) -> Any:
    """Return an item and a random number of every kind."""
    drawn = [float(torch.rand(())), float(np.random.random()), random.random(), rng.random()]
    return torch.tensor([index, *drawn], dtype=torch.float64)


class Noisy(Dataset[Any]):
    """Items that are other ones each time they are read."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __len__(self) -> int:
        return N_ITEMS

    def __getitem__(self, index: int) -> Any:
        return noisy(index, self.rng)


class Stream(IterableDataset[Any]):
    """The same without indices, dealt out over the workers."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)

    def __iter__(self) -> Iterator[Any]:
        for index in self.share():
            yield noisy(index, self.rng)

    def share(self) -> list[int]:
        """Return what this process reads."""
        worker: Any = torch.utils.data.get_worker_info()
        return (
            list(range(N_ITEMS)) if worker is None else list(range(N_ITEMS))[worker.id :: worker.num_workers]
        )


class StatefulStream(Stream):
    """One that knows where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        share = self.share()
        while self.read < len(share):
            self.read += 1
            yield noisy(share[self.read - 1], self.rng)
        self.read = 0

    def state_dict(self) -> dict[str, int]:
        return {"read": self.read}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.read = state["read"]


def stateful_loader(dataset: Any, **options: Any) -> Any:
    """Return a loader of torchdata."""
    module = importlib.import_module("torchdata.stateful_dataloader")
    return module.StatefulDataLoader(dataset, batch_size=BATCH, **options)


def loader(dataset: Any, **options: Any) -> Any:
    """Return a loader of torch."""
    return DataLoader(dataset, batch_size=BATCH, **options)


def read(make: Callable[[], Any], n: int, cuts: tuple[int, ...] = ()) -> list[list[Any]]:
    """Return `n` batches, each of them in another life after each of `cuts`, and what is drawn then."""
    set_seed(3)
    batches = Batches(make())
    found: list[list[Any]] = []
    for number in range(n):
        if number in cuts:
            state = pickle.loads(pickle.dumps(batches.state_dict()))
            before = torch.get_rng_state()
            batches = Batches(make())
            batches.load_state_dict(state)
            torch.set_rng_state(before)  # which a checkpoint does
        found.append([*next(batches).tolist(), batches.epoch])
    return [*found, torch.rand(3).tolist()]


SHUFFLED: dict[str, Any] = {"shuffle": True}
STAYING: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "prefetch_factor": 3}
NEEDS_TORCHDATA = pytest.mark.skipif(not HAS_TORCHDATA, reason="No module named 'torchdata'")
LOADERS = [
    pytest.param(lambda: loader(Noisy(), **SHUFFLED), id="shuffled"),
    pytest.param(lambda: loader(Noisy(), **SHUFFLED, num_workers=2), id="workers"),
    pytest.param(lambda: loader(Noisy(), **SHUFFLED, **STAYING), id="workers that stay"),
    pytest.param(
        lambda: loader(Noisy(), **SHUFFLED, generator=torch.Generator().manual_seed(5)), id="own generator"
    ),
    pytest.param(lambda: loader(Stream()), id="stream"),
    pytest.param(lambda: loader(Stream(), **STAYING), id="stream, workers that stay"),
    pytest.param(lambda: stateful_loader(Noisy(), shuffle=True), id="torchdata", marks=NEEDS_TORCHDATA),
    pytest.param(
        lambda: stateful_loader(StatefulStream(), num_workers=2), id="stateful stream", marks=NEEDS_TORCHDATA
    ),
    pytest.param(
        lambda: stateful_loader(StatefulStream(), **STAYING),
        id="stateful stream, workers that stay",
        marks=NEEDS_TORCHDATA,
    ),
]
pytestmark = pytest.mark.filterwarnings("ignore:'set_vital' is deprecated")


@pytest.mark.parametrize("make", LOADERS)
def test_an_epoch_continues_after_any_batch(make: Callable[[], Any]) -> None:
    """In its midst, at its end and at the beginning of a later one, without a batch twice and with the same noise."""
    unbroken = read(make, 2 * PER_EPOCH + 2)
    assert read(make, 2 * PER_EPOCH + 2, cuts=(1, 5, 6, 7, 13)) == unbroken


@pytest.mark.parametrize("options", [{"num_workers": 1}, STAYING], ids=["one worker", "two that stay"])
def test_batches_are_the_same_for_any_number_of_workers(options: dict[str, Any]) -> None:
    """A run may continue on a machine with more cores."""
    alone = read(lambda: loader(Noisy(), **SHUFFLED), 10)
    assert read(lambda: loader(Noisy(), **SHUFFLED, **options), 10) == alone


def test_each_epoch_has_an_order_and_noise_of_its_own() -> None:
    """All items once an epoch, shuffled again."""
    batches = Batches(loader(Noisy(), **SHUFFLED))
    epochs = [[row for _ in range(len(batches)) for row in next(batches).tolist()] for _ in range(2)]
    orders = [[row[0] for row in epoch] for epoch in epochs]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(N_ITEMS))
    assert orders[0] != orders[1]
    noises = {value for epoch in epochs for row in epoch for value in row[1:]}
    assert len(noises) == 2 * N_ITEMS * 4


def test_generators_of_the_program_are_left_alone() -> None:
    """What the data set draws does not move the loop's own generators; an epoch begins with one draw, as torch's does."""
    batches = Batches(loader(Noisy()))
    next(batches)
    before = (
        random.getstate(),
        torch.get_rng_state().tolist(),
        np.random.get_state(legacy=False)["state"]["pos"],
    )
    next(batches)
    after = (
        random.getstate(),
        torch.get_rng_state().tolist(),
        np.random.get_state(legacy=False)["state"]["pos"],
    )
    assert before == after


def test_a_checkpoint_holds_the_position(tmp_path: Path) -> None:
    """Passed as a part, it continues with the loop."""

    def train(folder: Path, n: int) -> list[Any]:
        set_seed(1)
        batches, seen = Batches(loader(Noisy(), **SHUFFLED)), np.zeros(N_ITEMS)
        for _ in Checkpoint(folder, progress=False, batches=batches, seen=seen).steps(n):
            for row in next(batches).tolist():
                seen[int(row[0])] += row[1]
        return seen.tolist()

    unbroken = train(tmp_path / "unbroken", 9)
    train(tmp_path / "run", 4)
    assert train(tmp_path / "run", 9) == unbroken


def test_a_distributed_sampler_is_told_the_epoch() -> None:
    """Without it every epoch would have one order."""
    sampler: Any = DistributedSampler[Any](Noisy(), num_replicas=2, rank=1)
    batches = Batches(loader(Noisy(), sampler=sampler))
    orders = [[row[0] for _ in range(len(batches)) for row in next(batches).tolist()] for _ in range(2)]
    assert orders[0] != orders[1]
    assert len(batches) == 3


def test_items_that_are_batches_already() -> None:
    """A loader without a batch size gives what the data set gives."""
    batches = Batches(DataLoader(Noisy(), batch_size=None))
    assert [int(next(batches)[0]) for _ in range(3)] == [0, 1, 2]


class Endless(Sampler[int]):
    """A sampler without an end."""

    def __iter__(self) -> Iterator[int]:
        while True:
            yield 0


class Empty(Noisy):
    """Nothing."""

    def __len__(self) -> int:
        return 0


def test_what_cannot_be_continued_is_refused() -> None:
    """The message says what is wanted."""
    with pytest.raises(TypeError, match="must be a DataLoader of torch"):
        Batches([1, 2])  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="must have a length"):
        Batches(loader(Noisy(), sampler=Endless()))
    with pytest.raises(ValueError, match="in_order=False"):
        Batches(loader(Noisy(), in_order=False))
    with pytest.raises(ValueError, match="at least one batch"):
        next(Batches(loader(Empty())))
