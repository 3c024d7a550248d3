"""Files of unknown origin: data comes out, code does not run."""

import collections
import contextlib
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers_files import write_as_stranger

from rlx_snapshot import (
    DamagedSnapshotError,
    Snapshotter,
    UntrustedSnapshotError,
    describe,
    exact_dumps,
    load_untrusted,
    verify,
)
from rlx_snapshot._format.digests import digest_of
from rlx_snapshot._format.layout import HEAD, SIGNATURE_BYTES, Footer, pack_footer
from rlx_snapshot._inspection.pickle_walker import UnreadablePickleError, walk
from rlx_snapshot._inspection.summary import summary_of


def reread(directory: Path, state: object) -> Any:
    """`state` saved and loaded as if it came from a stranger."""
    return load_untrusted(write_as_stranger(directory, state))


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


class TestData:
    @pytest.mark.parametrize(
        "value",
        [  # pyright: ignore[reportUnknownArgumentType]
            {"a": [1, 2.5, None, True], "b": (b"x", "y"), 3: {4, 5}, "c": frozenset({6})},
            collections.OrderedDict(a=1, b=[2]),
            collections.deque([1, 2], maxlen=3),
            collections.defaultdict(list, {1: [2]}),
            [1j, bytearray(b"z"), range(3), slice(1, 2)],
            types.SimpleNamespace(a=[1], b=types.SimpleNamespace()),
        ],
    )
    def test_plain_containers_are_rebuilt(self, tmp_path: Path, value: object) -> None:
        """Values and classes come back."""
        loaded = reread(tmp_path, value)
        assert loaded == value
        assert type(loaded) is type(value)

    @settings(max_examples=60)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
            max_leaves=20,
        ),
        st.integers(0, 5),
    )
    def test_any_plain_pickle_of_any_protocol_is_walked(self, value: object, protocol: int) -> None:
        """The walker understands what every protocol of pickle writes for plain values."""
        pickled = pickle.dumps(value, protocol)
        if protocol > 2 or not (
            b"_codecs" in pickled or b"__builtin__" in pickled
        ):  # old ways to write bytes
            assert walk(pickled) == value

    def test_aliases_and_cycles_survive(self, tmp_path: Path) -> None:
        """What was one object is one object, even if it holds itself."""
        shared = [1]
        state: dict[str, Any] = {"a": shared, "b": shared}
        state["self"] = state
        loaded = reread(tmp_path, state)
        assert loaded["a"] is loaded["b"]
        assert loaded["self"] is loaded

    def test_arrays_are_rebuilt(self, tmp_path: Path) -> None:
        """NumPy arrays of plain and structured types, and scalars."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        arrays = [
            np.arange(70_000).reshape(7, -1),
            np.asfortranarray(np.ones((3, 4))),
            np.zeros(3, dtype=[("a", "i4"), ("b", "f8", 3)]),
            np.arange(3, dtype=">f4"),
            np.arange(3).astype("M8[s]"),
            np.array(["a", "é"]),
            np.float32(3),
            np.zeros(2, dtype=np.dtype([("a", "i1"), ("b", "f8")], align=True)),
            np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])[0],
            np.datetime64("2020-01-02"),
            np.float64("nan"),
            np.bool_(True),
            np.str_("é"),
        ]
        for loaded, array in zip(reread(tmp_path, arrays), arrays, strict=True):
            assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape)
            assert loaded.tobytes() == array.tobytes()

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_arrays_of_plain_pickles_are_rebuilt(self, tmp_path: Path, protocol: int) -> None:
        """Files of other writers hold arrays as NumPy itself pickles them, in order, turned, empty or of text."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        numbers = np.arange(24.0).reshape(2, 3, 4)
        arrays = {
            "contiguous": numbers,
            "Fortran": numbers.T,
            "turned": numbers.transpose(1, 0, 2),
            "strided": numbers[:, ::2],
            "empty": np.zeros((0, 2), "i4"),
            "single": np.array(3.5),
            "big-endian": np.arange(3, dtype=">i4"),
            "text": np.array(["a", "é"]),
            "dates": np.array(["2020-01-01"], "M8[D]"),
            "records": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
            "scalar": np.float32(3),
        }
        path = tmp_path / "params.pkl"
        path.write_bytes(pickle.dumps({"arrays": arrays, "name": "é", "raw": b"\xff"}, protocol))
        loaded = load_untrusted(path)
        assert (loaded["name"], loaded["raw"]) == ("é", b"\xff")
        for name, array in arrays.items():
            found = loaded["arrays"][name]
            assert (name, found.dtype, found.shape) == (name, array.dtype, array.shape)
            assert found.tolist() == array.tolist()

    def test_tensors_are_rebuilt_and_share(self, tmp_path: Path) -> None:
        """A tensor, its view, a parameter and an empty tensor."""
        torch: Any = pytest.importorskip("torch", reason="needs torch")
        tensor = torch.randn(300, 300)
        state = [
            tensor,
            tensor[3],
            torch.nn.Parameter(torch.ones(3)),
            torch.zeros(0, 2).bfloat16(),
            tensor.shape,
        ]
        loaded = reread(tmp_path, state)
        assert all(a.equal(b) for a, b in zip(loaded[:4], state[:4], strict=True))
        loaded[0][3, 0] = 5
        assert loaded[1][0] == 5


class TestRefusal:
    def test_named_code_does_not_run(self, tmp_path: Path) -> None:
        """A call of any function refuses the file and leaves no trace."""
        ran = tmp_path / "ran"
        with pytest.raises(UntrustedSnapshotError, match=r"makes a .*open"):
            reread(tmp_path / "run", {"n": 1, "bad": Call(open, str(ran), "w")})
        assert not ran.exists()

    def test_objects_are_refused(self, tmp_path: Path) -> None:
        """An instance of a class is not plain data."""
        with pytest.raises(UntrustedSnapshotError, match=r"names \S*Call, which is not plain data|makes a"):
            reread(tmp_path, [collections.Counter("ab")])

    @pytest.mark.parametrize("name", ["tofile", "__class__", "dump"])
    def test_methods_that_rebuild_nothing_are_refused(self, tmp_path: Path, name: str) -> None:
        """A method called by name is one of the few that make tensors, or none."""
        import operator

        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        with pytest.raises(UntrustedSnapshotError, match=f"method {name!r}"):
            reread(tmp_path, Call(operator.methodcaller(name, "target"), np.ones(3)))

    def test_elements_of_other_things_are_refused(self, tmp_path: Path) -> None:
        """What makes a scalar reaches into nothing else."""
        import operator

        with pytest.raises(UntrustedSnapshotError, match="not a single NumPy value"):
            reread(tmp_path, Call(operator.getitem, {"a": 1}, "a"))

    @pytest.mark.parametrize(("name", "value"), [("float32", "1"), ("bytes_", 10**12)])
    def test_scalars_of_other_things_are_refused(self, tmp_path: Path, name: str, value: object) -> None:
        """A number is made of a number, a text of a text."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        with pytest.raises(UntrustedSnapshotError, match=r"it makes a (number|text) of a"):
            reread(tmp_path, Call(getattr(np, name), value))

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_object_arrays_of_plain_pickles_are_refused(self, tmp_path: Path, protocol: int) -> None:
        """Their items would be objects; so would instances of a class of arrays."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        for array in (np.array([print], dtype=object), np.ma.masked_array([1], [True]), np.rec.array([(1,)])):
            path = tmp_path / "params.pkl"
            path.write_bytes(pickle.dumps(array, protocol))
            with pytest.raises(UntrustedSnapshotError, match=r"array|names|makes a"):
                load_untrusted(path)

    def test_array_beyond_its_contents_is_refused(self, tmp_path: Path) -> None:
        """A shape that needs more than the bytes that are there asks for no memory."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        honest = pickle.dumps(np.zeros((3, 5), "u1"), 5)
        path = tmp_path / "params.pkl"
        path.write_bytes(honest.replace(b"K\x03K\x05\x86", b"K\xffK\xff\x86"))
        with pytest.raises(UntrustedSnapshotError, match="too small"):
            load_untrusted(path)

    def test_object_arrays_are_refused(self, tmp_path: Path) -> None:
        """Bytes are never taken for pointers."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        with pytest.raises(UntrustedSnapshotError, match="type 'O8'"):
            reread(tmp_path, Call(np.ndarray, (1,), np.dtype("O"), b"x" * 8))

    def test_tensor_beyond_its_storage_is_refused(self, tmp_path: Path) -> None:
        """Shape, strides and offset must lie inside of the bytes that are there."""
        import operator

        torch: Any = pytest.importorskip("torch", reason="needs torch")
        storage = torch.ones(4).untyped_storage()
        forged = Call(operator.methodcaller("set_", storage, 2, (4,), (1,)), torch.ones(0))
        with pytest.raises(UntrustedSnapshotError, match="beyond its storage"):
            reread(tmp_path, forged)

    def test_deep_nesting_is_refused(self, tmp_path: Path) -> None:
        """A file cannot exhaust the stack of the program that reads it."""
        path = tmp_path / "deep.pkl"
        path.write_bytes(b"\x80\x05" + b"]" * 100_000 + b"a" * 99_999 + b".")
        with pytest.raises(UntrustedSnapshotError, match="nested more than 200 deep"):
            load_untrusted(path)

    @pytest.mark.parametrize(
        "pickled", [b"", b"x", b"\x80\x05R.", b"h\x00.", b"P1\n.", b"]}b.", b"(.", b"\x97."]
    )
    def test_senseless_opcodes_are_an_error_of_their_own(self, pickled: bytes) -> None:
        """Whatever the bytes are, the walker raises one kind of error."""
        with pytest.raises(UnreadablePickleError, match=r"makes no sense|outside of the file|has none"):
            walk(pickled)

    @settings(max_examples=200)
    @given(st.binary(max_size=60))
    def test_random_bytes_never_break_the_walker(self, pickled: bytes) -> None:
        """Any bytes are walked or refused, in no other way."""
        try:
            walk(b"\x80\x05" + pickled + b".")
        except UnreadablePickleError:
            return

    @settings(max_examples=300)
    @given(st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=3))
    def test_changed_files_are_refused_or_rebuilt(
        self, tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
    ) -> None:
        """Whatever bytes of a file are changed, one kind of error says so, also where it is only looked at."""
        pickled = bytearray(exact_dumps(_SAMPLE))
        for place, byte in changes:
            pickled[place % len(pickled)] = byte
        path = tmp_path_factory.mktemp("changed") / "params.pkl"
        path.write_bytes(pickled)
        for look in (load_untrusted, summary_of):
            with contextlib.suppress(UntrustedSnapshotError, DamagedSnapshotError):
                look(path)

    def test_index_without_end_is_damage(self, tmp_path: Path) -> None:
        """Metadata that are nested deeper than a parser goes are no crash."""
        index = b"[" * 200_000
        footer = Footer(len(HEAD), len(index), 0, digest_of(HEAD), 0, 0, len(index))
        seal = digest_of(index, footer.pack(), bytes(SIGNATURE_BYTES))
        path = tmp_path / "params.pkl"
        path.write_bytes(HEAD + index + pack_footer(footer, bytes(SIGNATURE_BYTES), seal))
        with pytest.raises(DamagedSnapshotError, match="its index makes no sense"):
            load_untrusted(path)


_SAMPLE: dict[str, Any] = {
    "list": [1, 2.5, "x", (1, 2), {3, 4}, frozenset({1})],
    "deque": collections.deque([1, 2]),
    "ordered": collections.OrderedDict(a=1),
    "factory": collections.defaultdict(list),
}


class TestDescription:
    def test_describe_reads_without_unpickling(self, tmp_path: Path) -> None:
        """Size, iteration, versions and buffers are known, and nothing ran."""
        ran = tmp_path / "ran"
        write_as_stranger(tmp_path / "run", Call(open, str(ran), "w"), itr=4)
        description = describe(tmp_path / "run/params.pkl")
        assert (description.iteration, description.signed, description.format_version) == (4, False, 1)
        assert description.size == (tmp_path / "run/params.pkl").stat().st_size
        assert "python" in description.versions
        assert not ran.exists()

    def test_verify_counts_the_buffers(self, tmp_path: Path) -> None:
        """An intact file is described, with one checksum for each MiB."""
        np: Any = pytest.importorskip("numpy", reason="needs numpy")
        Snapshotter(tmp_path).save_itr_params(0, np.zeros(3 * (1 << 20) + 1, dtype="u1"))
        (buffer,) = verify(tmp_path / "params.pkl").buffers
        assert (buffer.length, buffer.readonly, len(buffer.checksums)) == (3 * (1 << 20) + 1, False, 4)

    def test_plain_pickle_has_no_checksums(self, tmp_path: Path) -> None:
        """Another program's file is described by what can be known."""
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(1))
        assert verify(tmp_path / "a.pkl").format_version is None
