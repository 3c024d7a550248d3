"""What can be kept beside the policy."""

import random
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
    RandomStatePersistence,
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


class TestRandomStates:
    def test_the_same_numbers_again(self, world: FolderWorld) -> None:
        """Python's, NumPy's and a named generator's next numbers are those after the save."""
        noise = np.random.default_rng(3)
        member = RandomStatePersistence({"noise": noise})
        persist(member, world)

        def draws() -> list[float]:
            return [random.random(), random.gauss(), float(np.random.normal()), float(noise.normal())]

        first = draws()
        restore(member, world)
        assert draws() == first

    @pytest.mark.parametrize(
        "bits", [np.random.MT19937, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64]
    )
    def test_every_bit_generator(self, world: FolderWorld, bits: Any) -> None:
        """Bit generators with arrays in their state are kept as well."""
        generator = np.random.Generator(bits(5))
        generator.integers(10, size=3, dtype=np.uint32)
        member = RandomStatePersistence({"g": generator})
        persist(member, world)
        first = generator.integers(2**32, size=700, dtype=np.uint32).tolist()
        restore(member, world)
        assert generator.integers(2**32, size=700, dtype=np.uint32).tolist() == first

    def test_unknown_generator(self, world: FolderWorld) -> None:
        """A generator that was not kept is named, and no state is touched."""
        persist(RandomStatePersistence(), world)
        before = random.getstate()
        random.random()
        with pytest.raises(KeyError, match="noise"):
            restore(RandomStatePersistence({"noise": np.random.default_rng()}), world)
        assert random.getstate() != before

    def test_damage(self, world: FolderWorld) -> None:
        """A changed digit is found."""
        persist(RandomStatePersistence(), world)
        path = Path(world.persist_path("random_states.json"))
        path.write_bytes(path.read_bytes().replace(b"624", b"623"))
        with pytest.raises(DamagedFileError, match=r"random_states\.json"):
            restore(RandomStatePersistence(), world)

    def test_missing_file(self, world: FolderWorld) -> None:
        """A missing file is a FileNotFoundError that names it."""
        with pytest.raises(FileNotFoundError, match=r"no random_states\.json"):
            restore(RandomStatePersistence(), world)
