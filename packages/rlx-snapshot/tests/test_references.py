"""Objects that only refer to their contents: those are saved, or the save names the object and fails."""

import dbm.dumb
import multiprocessing
import shelve
import tempfile
from collections.abc import Iterator
from multiprocessing import shared_memory
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import UnpicklableStateError, exact_copy, exact_dumps, exact_loads


@pytest.fixture
def block() -> Iterator[Any]:
    """Shared memory of eight bytes."""
    memory = shared_memory.SharedMemory(create=True, size=8)
    yield memory
    memory.close()
    memory.unlink()


def test_shared_memory_comes_back_with_what_was_in_it(block: Any) -> None:
    """Later changes of the block, which keeps its name, are not seen."""
    block.buf[:] = b"saved..."
    data = exact_dumps({"buffer": block})
    block.buf[:] = b"later..."
    loaded = exact_loads(data)["buffer"]
    try:
        assert bytes(loaded.buf[:8]) == b"saved..."
        assert loaded.name != block.name
    finally:
        loaded.close()
        loaded.unlink()


def test_shareable_list_comes_back_with_its_items() -> None:
    """The list is another one."""
    shared: Any = shared_memory.ShareableList([1, 2, 3])
    loaded = exact_copy(shared)
    try:
        shared[0] = 5
        assert list(loaded) == [1, 2, 3]
    finally:
        for each in (shared, loaded):
            each.shm.close()
            each.shm.unlink()


def test_synchronized_values_come_back() -> None:
    """A counter and an array that processes share are counters and arrays again, with a lock of their own."""
    counter, array = multiprocessing.Value("i", 3), multiprocessing.Array("d", [0.5, 1.5])
    loaded: Any = exact_copy((counter, array))
    counter.value = 9
    with loaded[0].get_lock():
        loaded[0].value += 1
    assert (loaded[0].value, list(loaded[1])) == (4, [0.5, 1.5])


@pytest.fixture(scope="module")
def manager() -> Iterator[SyncManager]:
    """A process that holds shared objects."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as running:
        yield running


@pytest.mark.processes
@pytest.mark.parametrize("kind", ["dict", "list", "Namespace", "Queue", "Lock"])
def test_proxies_are_refused_by_name(manager: SyncManager, kind: str) -> None:
    """The error says where the proxy is and what to save instead."""
    proxy = getattr(manager, kind)()
    with pytest.raises(UnpicklableStateError, match="live in a Manager's process; save a copy") as caught:
        exact_dumps({"algo": {"counts": proxy}})
    assert caught.value.path == "state['algo']['counts']"


def test_stores_on_disk_are_refused(tmp_path: Path) -> None:
    """What would come back as a mere path is not saved."""
    with tempfile.TemporaryDirectory() as name:
        holder = tempfile.TemporaryDirectory(dir=name)
        open_database: Any = dbm.dumb.open
        with (
            holder,
            open_database(str(tmp_path / "plain"), "c") as database,
            shelve.Shelf[Any](open_database(str(tmp_path / "shelf"), "c")) as shelf,
        ):
            for reference, way_out in ((holder, "contents"), (database, "dict"), (shelf, "dict")):
                with pytest.raises(UnpicklableStateError, match=rf"state\[0\] cannot .* save .*{way_out}"):
                    exact_dumps([reference])


def test_ends_of_pipes_are_refused() -> None:
    """A number of an open file means nothing in another process."""
    here, there = multiprocessing.Pipe()
    with here, there, pytest.raises(UnpicklableStateError, match="one end of a pipe"):
        exact_dumps(here)


class TestZarr:
    def test_arrays_on_disk_are_refused(self, tmp_path: Path) -> None:
        """The way out is to read them first."""
        zarr: Any = pytest.importorskip("zarr", reason="needs zarr")
        array = zarr.open(tmp_path, mode="w", shape=(4,), dtype="f8")
        with pytest.raises(UnpicklableStateError, match=r"LocalStore only refers .* array\[:\]"):
            exact_dumps({"buffer": array})

    def test_arrays_in_memory_come_back(self) -> None:
        """Their chunks are in the snapshot."""
        zarr: Any = pytest.importorskip("zarr", reason="needs zarr")
        array = zarr.create_array(store={}, shape=(4,), dtype="f8")
        array[:] = 1.0
        data = exact_dumps(array)
        array[:] = 2.0
        assert exact_loads(data)[:].tolist() == [1.0] * 4


class TestMemoryMapped:
    """Tensors and tensordicts of torchrl in files."""

    def test_tensor_comes_back_with_its_contents(self, tmp_path: Path) -> None:
        """It is mapped again, but no longer at the path where training continues."""
        torch: Any = pytest.importorskip("torch", reason="needs torch, which has no small wheel to test with")
        tensordict: Any = pytest.importorskip("tensordict", reason="needs tensordict")
        mapped = tensordict.MemoryMappedTensor.from_tensor(torch.ones(5), filename=tmp_path / "a")
        data = exact_dumps(mapped)
        mapped.fill_(2)
        loaded = exact_loads(data)
        assert type(loaded) is type(mapped)
        assert loaded.tolist() == [1.0] * 5

    def test_replay_buffer_comes_back_with_its_contents(self, tmp_path: Path) -> None:
        """The whole of a LazyMemmapStorage is in the snapshot, and takes more items."""
        torch: Any = pytest.importorskip("torch", reason="needs torch, which has no small wheel to test with")
        rl: Any = pytest.importorskip("torchrl.data", reason="needs torchrl")
        tensordict: Any = pytest.importorskip("tensordict", reason="needs tensordict")

        def items(value: float) -> Any:
            return tensordict.TensorDict({"x": torch.full((6,), value)}, [6])

        buffer = rl.TensorDictReplayBuffer(
            storage=rl.LazyMemmapStorage(10, scratch_dir=tmp_path), batch_size=2
        )
        buffer.extend(items(1.0))
        data = exact_dumps(buffer)
        buffer.extend(items(2.0))
        loaded = exact_loads(data)
        assert loaded[:]["x"].tolist() == [1.0] * 6
        loaded.extend(items(3.0))
        assert loaded[:]["x"].tolist() == [3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 3.0, 3.0, 3.0, 3.0]
