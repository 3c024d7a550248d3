"""What can be kept beside the policy."""

from array import array
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rlx_persistence import (
    DamagedFileError,
    FolderWorld,
    NormalizerPersistence,
    Persistence,
    PersistEvent,
    PolicyMismatchError,
    ReplayBufferPersistence,
    RestoreEvent,
    read_info,
)


@dataclass
class RunningMeanStd:
    """Statistics as gymnasium keeps them."""

    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    count: float = 1e-4


class Ring:
    """A replay buffer: preallocated arrays, written in a ring."""

    def __init__(self, size: int) -> None:
        self.rewards = np.zeros(size)
        self.place = 0

    def add(self, reward: float) -> None:
        """Write over the oldest."""
        self.rewards[self.place % len(self.rewards)] = reward
        self.place += 1


@pytest.fixture
def world(tmp_path: Path) -> FolderWorld:
    """Return a folder."""
    return FolderWorld(tmp_path, tmp_path)


def persist(member: Persistence, world: FolderWorld) -> None:
    """Tell the member to persist."""
    member.persist(PersistEvent.PERSIST_POLICY, world)


def restore(member: Persistence, world: FolderWorld) -> None:
    """Tell the member to restore."""
    member.restore(RestoreEvent.RESTORE_POLICY, world)


class TestNormalizer:
    def test_statistics_come_back(self, world: FolderWorld) -> None:
        """Arrays stay arrays, numbers stay numbers, bit for bit."""
        persist(NormalizerPersistence(RunningMeanStd(np.array([0.1, 2.0]), np.array([1.0, 3.0]), 7.5)), world)
        statistics = RunningMeanStd(np.zeros(2), np.ones(2))
        restore(NormalizerPersistence(statistics), world)
        assert statistics.mean.tolist() == [0.1, 2.0]
        assert (type(statistics.count), statistics.count) == (float, 7.5)

    def test_numpy_reads_it(self, world: FolderWorld) -> None:
        """The file is an npz to everyone else, and needs no pickle."""
        persist(NormalizerPersistence(RunningMeanStd(np.zeros(2), np.ones(2))), world)
        with np.load(world.persist_path("normalizer.npz"), allow_pickle=False) as archive:
            assert sorted(archive) == ["count", "mean", "var"]

    def test_missing_field(self) -> None:
        """A field that is not there is an error at once, not at the first save."""
        with pytest.raises(AttributeError, match="std"):
            NormalizerPersistence(RunningMeanStd(np.zeros(1), np.ones(1)), fields=("mean", "std"))

    def test_damage(self, world: FolderWorld) -> None:
        """A damaged file is found, and the statistics stay as they are."""
        statistics = RunningMeanStd(np.zeros(2), np.ones(2))
        persist(NormalizerPersistence(statistics), world)
        path = Path(world.persist_path("normalizer.npz"))
        data = bytearray(path.read_bytes())
        data[60] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedFileError, match=r"normalizer\.npz"):
            restore(NormalizerPersistence(statistics), world)

    def test_nothing_in_the_file_is_executed(self, world: FolderWorld, tmp_path: Path) -> None:
        """Arrays of objects, which NumPy pickles, are refused."""
        mark = tmp_path / "mark"

        class Touching:
            def __reduce__(self) -> tuple[Any, ...]:
                return Path.touch, (mark,)

        forged: Any = np.array([Touching()], dtype=object)
        np.savez(world.persist_path("normalizer.npz"), mean=forged, var=forged, count=forged)
        with pytest.raises(DamagedFileError, match="allow_pickle"):
            restore(NormalizerPersistence(RunningMeanStd(np.zeros(1), np.ones(1))), world)
        assert not mark.exists()

    def test_file_cut_short(self, world: FolderWorld) -> None:
        """A file that ends before its seal, too, is damaged."""
        statistics = RunningMeanStd(np.zeros(2), np.ones(2))
        persist(NormalizerPersistence(statistics), world)
        path = Path(world.persist_path("normalizer.npz"))
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(DamagedFileError, match=r"normalizer\.npz is damaged"):
            restore(NormalizerPersistence(statistics), world)


class Wrapper:
    """A wrapper as gymnasium and Stable-Baselines3 have them: it holds statistics, one for each part of a Dict space."""

    def __init__(self, value: float = 0.0) -> None:
        self.obs_rms = {
            "image": RunningMeanStd(np.full(3, value), np.ones(3)),
            "goal": RunningMeanStd(np.full(2, value), np.ones(2)),
        }
        self.ret_rms = RunningMeanStd(np.array(value), np.array(1.0), value)


class TestNormalizingWrappers:
    def test_statistics_inside_come_back(self, world: FolderWorld) -> None:
        """All statistics that a wrapper holds are kept, those of each part of a Dict space too."""
        persist(NormalizerPersistence(Wrapper(3.0)), world)
        wrapper = Wrapper()
        restore(NormalizerPersistence(wrapper), world)
        assert wrapper.obs_rms["goal"].mean.tolist() == [3.0, 3.0]
        assert (float(wrapper.ret_rms.mean), wrapper.ret_rms.count) == (3.0, 3.0)

    def test_neither_statistics_nor_a_holder(self) -> None:
        """An object without statistics is refused at once."""
        with pytest.raises(AttributeError, match="which a Ring does not"):
            NormalizerPersistence(Ring(2))

    def test_field_that_is_no_number(self, world: FolderWorld) -> None:
        """A field that could not be read without a pickle is refused by name, and no file is left."""
        with pytest.raises(TypeError, match=r"field 'mean' is .*; it must be an array of numbers"):
            persist(NormalizerPersistence(RunningMeanStd(np.array([None]), np.ones(1))), world)
        assert not list(Path(world.persist_directory).iterdir())

    def test_other_shape(self, world: FolderWorld) -> None:
        """Statistics of another shape are refused, and nothing is changed."""
        persist(NormalizerPersistence(RunningMeanStd(np.ones(2), np.ones(2))), world)
        statistics = RunningMeanStd(np.zeros(3), np.ones(3))
        with pytest.raises(PolicyMismatchError, match=r"mean \(2,\) instead of \(3,\)"):
            restore(NormalizerPersistence(statistics), world)
        assert statistics.mean.tolist() == [0.0, 0.0, 0.0]

    def test_number_that_becomes_an_array(self, world: FolderWorld) -> None:
        """Statistics that are numbers until the first observation, as tianshou's are, take arrays."""
        persist(NormalizerPersistence(RunningMeanStd(np.ones(2), np.ones(2))), world)
        fresh: Any = RunningMeanStd(0.0, 1.0)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        restore(NormalizerPersistence(fresh), world)
        assert fresh.mean.tolist() == [1.0, 1.0]


def restored(content: Any, into: Any, world: FolderWorld) -> Any:
    """Persist `content` as a replay buffer, restore it into another, and return that."""
    persist(ReplayBufferPersistence(content), world)
    restore(ReplayBufferPersistence(into), world)
    return into


class Bounded(deque[int]):
    """A deque with an attribute of its own."""

    seen = 0


class TestBuffersOfPythonAndNumPy:
    @pytest.mark.parametrize(
        ("content", "into"),
        [
            (deque([(0, 1.0), (1, 2.0)], maxlen=4), deque([(9, 9.0)], maxlen=4)),
            ([1, 2, 3], [4]),
            ({1, 2}, {3}),
            ({"a": 1}, {"b": 2}),
            (defaultdict(list, a=[1]), defaultdict(list, b=[2])),
            (bytearray(b"abc"), bytearray(b"d")),
            (array("d", [1.0, 2.0]), array("d")),
        ],
    )
    def test_items_come_back_in_place(self, content: Any, into: Any, world: FolderWorld) -> None:
        """The container that the collector holds has the items again, and no others."""
        assert restored(content, into, world) == content

    def test_array_comes_back_in_place(self, world: FolderWorld) -> None:
        """An array takes the values where it is."""
        memory = np.zeros((4, 2))
        restored(np.arange(4.0).reshape(2, 2), memory[1:3], world)
        assert memory.tolist() == [[0, 0], [0, 1], [2, 3], [0, 0]]

    def test_array_of_another_shape(self, world: FolderWorld) -> None:
        """An array is neither cut nor cast, and stays as it is."""
        memory = np.zeros(3)
        with pytest.raises(PolicyMismatchError, match=r"\(2,\) of float64 instead of \(3,\) of float64"):
            restored(np.ones(2), memory, world)
        assert memory.tolist() == [0.0, 0.0, 0.0]

    def test_deque_that_holds_fewer(self, world: FolderWorld) -> None:
        """A shorter deque would drop transitions, so it is refused and stays as it is."""
        short = deque([9], maxlen=2)
        with pytest.raises(PolicyMismatchError, match="3 items instead of at most 2"):
            restored(deque([1, 2, 3], maxlen=3), short, world)
        assert list(short) == [9]

    def test_attributes_of_a_container(self, world: FolderWorld) -> None:
        """A container's own attributes come back with its items."""
        buffer = Bounded([1, 2], maxlen=3)
        buffer.seen = 7
        into = restored(buffer, Bounded([], maxlen=3), world)
        assert (list(into), into.seen) == ([1, 2], 7)

    @pytest.mark.parametrize("buffer", [(1, 2), 3, "text", frozenset({1}), None, np.float64(1), len])
    def test_what_cannot_change_is_refused_at_once(self, buffer: object) -> None:
        """What could never be restored is not persisted either."""
        with pytest.raises(TypeError, match="cannot be changed in place, so it could never be restored"):
            ReplayBufferPersistence(buffer)


class TestReplayBuffer:
    def test_state_comes_back_in_place(self, world: FolderWorld) -> None:
        """The buffer that the collector holds is the one that is filled again."""
        full = Ring(4)
        for reward in range(6):
            full.add(reward)
        persist(ReplayBufferPersistence(full), world)
        ring = Ring(4)
        restore(ReplayBufferPersistence(ring), world)
        assert (ring.rewards.tolist(), ring.place) == ([4.0, 5.0, 2.0, 3.0], 6)

    def test_record(self, world: FolderWorld) -> None:
        """The file says what it is."""
        persist(ReplayBufferPersistence(Ring(1)), world)
        info = read_info(world.persist_path("replay_buffer.pkl"))
        assert info is not None
        assert info.kind == "replay_buffer"

    def test_missing_file(self, world: FolderWorld) -> None:
        """A missing file is a FileNotFoundError that names it."""
        with pytest.raises(FileNotFoundError, match=r"no replay_buffer\.pkl"):
            restore(ReplayBufferPersistence(Ring(1)), world)
