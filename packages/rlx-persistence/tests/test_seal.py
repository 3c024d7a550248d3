"""The seal behind pickles and archives."""

import io
import pickle
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rlx_persistence import DamagedFileError
from rlx_persistence._forms.safetensors import check_safetensors, write_safetensors
from rlx_persistence._seal import MARK, SealingFile, check_seal

RECORDS = st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8) | st.none(), max_size=4)


def sealed(chunks: list[bytes], record: dict[str, object]) -> bytes:
    """Return a sealed file."""
    buffer = io.BytesIO()
    file = SealingFile(buffer)
    for chunk in chunks:
        file.write(chunk)
    file.seal(record)
    return buffer.getvalue()


def archive(content: bytes) -> list[bytes]:
    """Return an archive, in one chunk."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("content", content)
    return [buffer.getvalue()]


def check(data: bytes) -> object:
    """Write a file and check its seal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(data)
        return check_seal(path)


class TestSeal:
    @given(content=st.binary(min_size=1, max_size=200), record=RECORDS)
    def test_record_comes_back(self, content: bytes, record: dict[str, object]) -> None:
        """Whatever is sealed is found whole, with its record."""
        assert check(sealed([b"\x80" + content], record)) == record
        assert check(sealed(archive(content), record)) == record

    @given(content=st.binary(min_size=1, max_size=60), record=RECORDS, data=st.data())
    def test_every_flip_is_found(
        self, content: bytes, record: dict[str, object], data: st.DataObject
    ) -> None:
        """A bit flipped in content or seal is damage."""
        whole = sealed(archive(content), record)
        bit = data.draw(st.integers(0, len(whole) * 8 - 1))
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(DamagedFileError, match="damaged"):
            check(bytes(flipped))

    @given(content=st.binary(min_size=1, max_size=60), cut=st.integers(1, 40))
    def test_every_cut_through_the_seal_is_found(self, content: bytes, cut: int) -> None:
        """A file whose seal lost its end is damage, not a file without a seal."""
        with pytest.raises(DamagedFileError, match="cut short"):
            check(sealed([content], {"kind": "policy", "epoch": 3})[:-cut])

    @given(content=st.binary(min_size=1, max_size=60))
    def test_without_a_seal(self, content: bytes) -> None:
        """A file without a seal is not judged."""
        assume(MARK not in content)
        assert check(content) is None

    def test_other_readers_read_on(self) -> None:
        """Sealed pickles and archives are what they were to pickle and zipfile."""
        assert pickle.loads(sealed([pickle.dumps([1, 2])], {"epoch": 1})) == [1, 2]
        with zipfile.ZipFile(io.BytesIO(sealed(archive(b"x"), {"epoch": 1}))) as file:
            assert file.testzip() is None
            assert file.read("content") == b"x"

    def test_written_in_pieces(self) -> None:
        """The digest is that of the content, however it was cut when written."""
        (whole,) = archive(b"x")
        assert sealed([whole[:1], whole[1:7], whole[7:]], {}) == sealed([whole], {})

    def test_record_too_large(self) -> None:
        """A record that does not fit is refused."""
        with pytest.raises(ValueError, match="the record has 70"):
            sealed([b"x"], {"note": "n" * 70_000})


class TestSafetensorsSeal:
    @given(data=st.data())
    def test_every_flip_is_found(self, data: st.DataObject) -> None:
        """A bit flipped in header, digest or tensors is damage."""
        buffer = io.BytesIO()
        write_safetensors({"w": np.arange(4.0)}, buffer, {"kind": "policy_safetensors"})
        flipped = bytearray(buffer.getvalue())
        bit = data.draw(st.integers(0, len(flipped) * 8 - 1))
        flipped[bit // 8] ^= 1 << (bit % 8)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_bytes(flipped)
            with pytest.raises(DamagedFileError, match="damaged"):
                check_safetensors(path)
