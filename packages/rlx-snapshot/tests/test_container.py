"""The file format: an ordinary pickle that is also a checked, mappable container."""

import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strangers_files import write_as_stranger

from rlx_snapshot import DamagedSnapshotError, Snapshotter, SnapshotVersionError, UntrustedSnapshotError
from rlx_snapshot._format.container import open_container
from rlx_snapshot._format.layout import CHUNK, FOOTER_BYTES, HEAD, PAGE

np: Any = pytest.importorskip("numpy", reason="needs numpy")

ARRAYS: dict[str, Any] = {
    "C order": np.arange(60_000, dtype="f4").reshape(3, -1),
    "Fortran order": np.asfortranarray(np.arange(60_000, dtype="f8").reshape(3, -1)),
    "every other column": np.arange(60_000, dtype="i4").reshape(3, -1)[:, ::2],
    "read-only": np.frombuffer(bytes(range(256)) * 512, dtype="u1"),
    "no elements": np.zeros((0, 3)),
    "no dimensions": np.array(3.5),
    "structured": np.zeros(3_000, dtype=[("a", "i4"), ("b", "f8", 3)]),
    "booleans": np.arange(100_000) % 3 == 0,
    "dates": np.arange(20_000).astype("M8[s]"),
    "big endian": np.arange(20_000, dtype=">f8"),
    "half": np.arange(50_000, dtype="f2"),
    "text": np.array(["a", "été"]),
    "objects": np.array([1, "a", None], dtype=object),
    "masked": np.ma.masked_array([1, 2], [False, True]),
    "record": np.rec.array([(1, 2.0)], dtype=[("x", "i4"), ("y", "f8")]),
}


def saved(directory: Path, state: object, **options: Any) -> Path:
    """The file of `state`, saved as iteration 3."""
    Snapshotter(directory, **options).save_itr_params(3, state)
    return directory / "params.pkl"


def plainly(path: Path) -> Any:
    """What `pickle.load` makes of a file."""
    with path.open("rb") as file:
        return pickle.load(file)


class TestRoundTrip:
    @pytest.mark.parametrize("kind", ARRAYS)
    def test_both_readers_return_the_array(self, tmp_path: Path, kind: str) -> None:
        """Class, type, shape, order, contents and writability survive, whoever reads."""
        array = ARRAYS[kind]
        path = saved(tmp_path, array)
        for loaded in (plainly(path), Snapshotter(tmp_path).load(tmp_path)):
            assert (type(loaded), loaded.dtype, loaded.shape) == (type(array), array.dtype, array.shape)
            assert repr(loaded.tolist()) == repr(array.tolist())
            assert loaded.flags.writeable == array.flags.writeable
            assert loaded.flags.f_contiguous == array.flags.f_contiguous

    @pytest.mark.parametrize("value", [b"x" * 200_000, bytearray(b"y" * 200_000), "é" * 100_000])
    def test_large_builtins_keep_their_type(self, tmp_path: Path, value: object) -> None:
        """Bytes, bytearrays and text of more than a frame come back as themselves."""
        path = saved(tmp_path, value)
        for loaded in (plainly(path), Snapshotter(tmp_path).load(tmp_path)):
            assert type(loaded) is type(value)
            assert loaded == value

    @settings(
        max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    @given(sizes=st.lists(st.integers(0, 3 * 65536), max_size=8), between=st.lists(st.binary(max_size=300)))
    def test_any_mixture_of_sizes_survives(
        self, tmp_path: Path, sizes: list[int], between: list[bytes]
    ) -> None:
        """Buffers of any size around the threshold, with anything between them."""
        state = [*between, *(np.full(size, size % 251, dtype="u1") for size in sizes), between]
        path = saved(tmp_path, state)
        for loaded in (plainly(path), Snapshotter(tmp_path).load(tmp_path)):
            assert [_plain(item) for item in loaded] == [_plain(item) for item in state]

    def test_loaded_arrays_are_the_programs_own(self, tmp_path: Path) -> None:
        """Changing a loaded array changes neither the file nor another load."""
        path = saved(tmp_path, np.zeros(1 << 20))
        before = path.read_bytes()
        first = Snapshotter(tmp_path).load(tmp_path)
        first += 1
        assert path.read_bytes() == before
        assert Snapshotter(tmp_path).load(tmp_path).sum() == 0

    def test_mapped_arrays_outlive_their_file(self, tmp_path: Path) -> None:
        """A restored run keeps its arrays while it and others replace the file."""
        saved(tmp_path, np.arange(1 << 20))
        loaded = Snapshotter(tmp_path).load(tmp_path, verify="index")
        for itr in range(3):
            saved(tmp_path, np.full(1 << 20, itr))
        (tmp_path / "params.pkl").unlink()
        assert np.array_equal(loaded, np.arange(1 << 20))


class TestLayout:
    def test_large_buffers_start_at_pages(self, tmp_path: Path) -> None:
        """Each buffer of 64 KiB and more can be mapped where it lies."""
        path = saved(tmp_path, [np.arange(70_000), b"x", np.arange(20_000, dtype="f4")])
        index = open_container(path).index
        assert index is not None
        assert [(b.offset % PAGE, b.length) for b in index.buffers] == [(0, 560_000), (0, 80_000)]

    def test_same_state_gives_the_same_bytes(self, tmp_path: Path) -> None:
        """A file depends on the state alone, not on time or place."""
        state = {"a": np.arange(70_000), "b": [1, 2]}
        assert saved(tmp_path / "1", state).read_bytes() == saved(tmp_path / "2", state).read_bytes()

    def test_footer_says_the_iteration(self, tmp_path: Path) -> None:
        """The number given to save_itr_params stands in the file."""
        footer = open_container(saved(tmp_path, {})).footer
        assert footer is not None
        assert footer.iteration == 3

    def test_small_states_cost_little_more_than_their_pickle(self, tmp_path: Path) -> None:
        """Without large buffers the container adds a few hundred bytes."""
        assert saved(tmp_path, b"x" * 1000).stat().st_size < 1500

    def test_later_format_asks_for_an_upgrade(self, tmp_path: Path) -> None:
        """A file of a format of the future is refused with both versions named."""
        path = saved(tmp_path, {})
        data = bytearray(path.read_bytes())
        data[len(HEAD) - 2] = data[-1] = 9
        path.write_bytes(data)
        with pytest.raises(SnapshotVersionError, match="format 9, this rlx-snapshot reads up to 1: upgrade"):
            Snapshotter(tmp_path).load(tmp_path)


class TestDamage:
    def small(self, directory: Path) -> Path:
        """A file of about two pages with one buffer."""
        return saved(directory, {"array": np.arange(16384, dtype="f4"), "n": 1})

    def test_every_flipped_bit_of_a_small_file_is_found(self, tmp_path: Path) -> None:
        """Whichever single bit changes, loading raises before it unpickles."""
        path = saved(tmp_path, {"n": [1, 2, 3], "name": "policy"})
        intact = path.read_bytes()
        for position in range(len(intact)):
            for bit in range(8):
                flipped = bytearray(intact)
                flipped[position] ^= 1 << bit
                path.write_bytes(flipped)
                with pytest.raises((DamagedSnapshotError, SnapshotVersionError), match=r"params\.pkl"):
                    open_container(path)

    def test_flips_inside_buffers_are_found(self, tmp_path: Path) -> None:
        """A bit of a large array, its padding or its index is covered too."""
        path = self.small(tmp_path)
        intact = path.read_bytes()
        reader = Snapshotter(tmp_path)
        for position in random.Random(1).sample(range(len(intact)), 400):
            flipped = bytearray(intact)
            flipped[position] ^= 1 << position % 8
            path.write_bytes(flipped)
            with pytest.raises(DamagedSnapshotError, match=r"params\.pkl is damaged"):
                reader.load(tmp_path)

    def test_every_truncation_of_a_small_file_is_found(self, tmp_path: Path) -> None:
        """Whatever is missing at the end, down to everything, loading raises."""
        path = saved(tmp_path, {"n": [1, 2, 3], "name": "policy"})
        intact = path.read_bytes()
        reader = Snapshotter(tmp_path)
        for length in range(len(intact)):
            path.write_bytes(intact[:length])
            with pytest.raises(DamagedSnapshotError, match=r"params\.pkl is damaged"):
                reader.load(tmp_path)

    def test_appended_bytes_are_found(self, tmp_path: Path) -> None:
        """Bytes after the end are damage too."""
        path = self.small(tmp_path)
        path.write_bytes(path.read_bytes() + b"\0")
        with pytest.raises(DamagedSnapshotError, match="its end is missing or changed"):
            Snapshotter(tmp_path).load(tmp_path)

    @pytest.mark.parametrize(
        "part", ["head", "pickle", "padding", "buffer", "end", "index", "footer", "mark"]
    )
    def test_nothing_is_unpickled_before_the_check(self, tmp_path: Path, part: str) -> None:
        """Wherever a bit has changed, a damaged file runs none of the code it names."""
        ran = tmp_path / "ran"
        path = write_as_stranger(tmp_path / "run", [_Touch(str(ran)), np.zeros(20_000), "end"])
        data = bytearray(path.read_bytes())
        data[_place_in(path, part)] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedSnapshotError, match=r"params\.pkl is damaged"):
            Snapshotter(tmp_path).load(tmp_path / "run")
        assert not ran.exists()

    def test_intact_file_runs_what_it_names(self, tmp_path: Path) -> None:
        """So the tests above would see it run."""
        write_as_stranger(tmp_path / "run", [_Touch(str(tmp_path / "ran"))])
        for opened in Snapshotter(tmp_path).load(tmp_path / "run"):
            opened.close()
        assert (tmp_path / "ran").exists()

    def test_quick_check_leaves_large_arrays_to_a_thread(self, tmp_path: Path) -> None:
        """With verify='index' a flip inside an array is raised by wait, and names the place."""
        path = saved(tmp_path, np.zeros(3 * CHUNK, dtype="u1"))
        data = bytearray(path.read_bytes())
        data[PAGE + 2 * CHUNK + 5] ^= 1
        path.write_bytes(data)
        snapshotter = Snapshotter(tmp_path)
        snapshotter.load(tmp_path, verify="index")
        with pytest.raises(DamagedSnapshotError, match="MiB 2 of buffer 0 has changed"):
            snapshotter.wait()

    def test_changes_made_before_the_thread_checks_are_no_damage(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A small file is not mapped: the program changes what a late check would look at."""
        saved(tmp_path, np.zeros(200_000, dtype="u1"))
        late: list[Callable[[], None]] = []

        def postpone(_: object, job: Callable[[], None]) -> None:
            late.append(job)

        monkeypatch.setattr("rlx_snapshot._saving.background.Background.submit", postpone)
        Snapshotter(tmp_path).load(tmp_path, verify="index")[:] = 1
        for check in late:
            check()

    def test_damage_of_a_small_file_is_found_at_once(self, tmp_path: Path) -> None:
        """With verify='index', too, what is not mapped is checked before it is unpickled."""
        path = saved(tmp_path, np.zeros(200_000, dtype="u1"))
        data = bytearray(path.read_bytes())
        data[PAGE + 5] ^= 1
        path.write_bytes(data)
        with pytest.raises(DamagedSnapshotError, match="MiB 0 of buffer 0 has changed"):
            Snapshotter(tmp_path).load(tmp_path, verify="index")


class TestSigning:
    KEY = b"0123456789abcdef"

    def test_signed_file_loads_with_its_key_and_without(self, tmp_path: Path) -> None:
        """A signature does not lock a file, it vouches for it."""
        path = saved(tmp_path, [1, np.arange(20_000)], signing_key=self.KEY)
        assert Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path)[0] == 1
        assert Snapshotter(tmp_path).load(tmp_path)[0] == plainly(path)[0] == 1

    def test_another_key_is_refused(self, tmp_path: Path) -> None:
        """A file signed by somebody else does not load."""
        saved(tmp_path, 1, signing_key=b"somebody else's")
        with pytest.raises(UntrustedSnapshotError, match="another key"):
            Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path)

    def test_unsigned_file_is_refused_where_a_key_is_set(self, tmp_path: Path) -> None:
        """With a key configured only signed files load."""
        saved(tmp_path, 1)
        with pytest.raises(UntrustedSnapshotError, match="not signed"):
            Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path)

    def test_plain_pickle_is_refused_where_a_key_is_set(self, tmp_path: Path) -> None:
        """A file without any container cannot be signed."""
        (tmp_path / "params.pkl").write_bytes(pickle.dumps(1))
        with pytest.raises(UntrustedSnapshotError, match="another program's file"):
            Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path)

    def test_forged_contents_with_right_checksums_are_refused(self, tmp_path: Path) -> None:
        """Checksums can be computed by anyone, the signature cannot."""
        forged = saved(tmp_path / "forged", {"reward": 2}, signing_key=b"guess")
        path = saved(tmp_path / "run", {"reward": 1}, signing_key=self.KEY)
        path.write_bytes(forged.read_bytes())
        with pytest.raises(UntrustedSnapshotError, match="refused"):
            Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path / "run")

    def test_key_file_is_named_by_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The variable names a file, so that the key is in no listing of processes."""
        (tmp_path / "key").write_bytes(self.KEY)
        monkeypatch.setenv("RLX_SNAPSHOT_KEY_FILE", str(tmp_path / "key"))
        saved(tmp_path / "run", 7)
        assert Snapshotter(tmp_path, signing_key=self.KEY).load(tmp_path / "run") == 7

    def test_empty_key_is_refused(self, tmp_path: Path) -> None:
        """An empty key file is a mistake, not a key."""
        with pytest.raises(ValueError, match="signing key is empty"):
            Snapshotter(tmp_path, signing_key=b"")

    def test_text_names_a_file(self, tmp_path: Path) -> None:
        """Whoever gives the key itself as a text is told what a key is."""
        with pytest.raises(
            FileNotFoundError, match=r"no such key file; .* the key itself is bytes: 'secret'"
        ):
            Snapshotter(tmp_path, signing_key="secret")


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self._path, "w")


def _place_in(path: Path, part: str) -> int:
    """The offset of a byte in one part of a file with one buffer."""
    container = open_container(path)
    footer, index = container.footer, container.index
    assert footer is not None
    assert index is not None
    (buffer,) = index.buffers
    size = path.stat().st_size
    places = {
        "head": 5,
        "pickle": len(HEAD) + 20,
        "padding": buffer.gap + 100,
        "buffer": buffer.offset + 1000,
        "end": buffer.end + 1,
        "index": footer.stream_length + 3,
        "footer": size - FOOTER_BYTES + 33,
        "mark": size - 3,
    }
    return places[part]


def _plain(item: Any) -> object:
    return item.tobytes() if isinstance(item, np.ndarray) else item
