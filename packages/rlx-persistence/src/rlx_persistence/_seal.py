"""A digest and a record behind a file's own content, where its usual reader does not look.

A zip archive (torch, npz) carries the seal as its comment, a pickle behind its STOP
opcode. So ``torch.load``, ``numpy.load`` and ``pickle.load`` read sealed files as they
are, and a file without a seal (written by others) is simply not checked.

Seal: ``MARK json digest length MARK``; digest = xxh3-128 of content and json; length =
4 bytes, little endian, of the json. Two marks, so that a seal cut short is noticed.
"""

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

import xxhash

from rlx_persistence._errors import DamagedFileError

MARK: Final = b"\x93rlx\r\n\x1a\n"  # no text, no JSON, no array of small numbers has it
ZIP_HEAD: Final = b"PK\x03\x04"
_AROUND_JSON: Final = len(MARK) + 16 + 4 + len(MARK)
_LARGEST: Final = 0xFFFF  # a zip comment holds no more


class SealingFile:
    """The file that content is written to: takes the digest on the way, and seals at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = file.tell()
        self._digest = xxhash.xxh3_128()
        self._head = b""

    def restart(self) -> None:
        """Forget what has been written, for a second attempt in another form."""
        self._file.seek(self._start)
        self._file.truncate()
        self._digest.reset()
        self._head = b""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write `data` and return its size in bytes."""
        written = self._file.write(data)
        self._digest.update(data)
        if len(self._head) < len(ZIP_HEAD):
            self._head = (self._head + bytes(data[: len(ZIP_HEAD)]))[: len(ZIP_HEAD)]
        return written

    def flush(self) -> None:
        """Do nothing: the file is flushed once, before it is published."""

    def seal(self, record: Mapping[str, object]) -> None:
        """Append the seal with `record`, a JSON document; content that began as an archive must be one."""
        document = json.dumps(record).encode()
        self._digest.update(document)
        tail = self._digest.digest() + len(document).to_bytes(4, "little") + MARK
        seal = MARK + document + tail
        if len(seal) > _LARGEST:
            raise ValueError(f"the record has {len(document)} bytes; {_LARGEST - _AROUND_JSON} are possible")
        if self._head == ZIP_HEAD:  # the archive ends with the length of its comment, zero so far
            self._file.seek(-2, os.SEEK_END)
            self._file.write(len(seal).to_bytes(2, "little"))
        self._file.write(seal)


def check_seal(path: str | os.PathLike[str]) -> Mapping[str, object] | None:
    """Check `path` against its seal, and return the record; None where there is no seal.

    Raises:
        DamagedFileError: If the file is not what was written.
    """
    with Path(path).open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise DamagedFileError(path, "it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return _check(path, mapped)


def _check(path: str | os.PathLike[str], mapped: mmap.mmap) -> Mapping[str, object] | None:
    start = _start_of_seal(path, mapped)
    if start is None:
        return None
    document = mapped[start + len(MARK) : len(mapped) - _AROUND_JSON + len(MARK)]
    digest = mapped[start + len(MARK) + len(document) :][:16]
    if _digest_of(mapped, start, document) != digest:
        raise DamagedFileError(path, "its digest is not that of its content")
    record: Mapping[str, object] = json.loads(document)
    return record


def _start_of_seal(path: str | os.PathLike[str], mapped: mmap.mmap) -> int | None:
    size = len(mapped)
    closed = mapped[max(0, size - len(MARK)) :] == MARK
    if not closed:
        if mapped.rfind(MARK, max(0, size - _LARGEST)) != -1:
            raise DamagedFileError(path, "its seal is cut short or overwritten")
        return None
    length = int.from_bytes(mapped[size - len(MARK) - 4 : size - len(MARK)], "little")
    start = size - length - _AROUND_JSON
    if start < 0 or mapped[start : start + len(MARK)] != MARK:
        raise DamagedFileError(path, "its seal is overwritten")
    return start


def _digest_of(mapped: mmap.mmap, start: int, document: bytes) -> bytes:
    digest = xxhash.xxh3_128()
    with memoryview(mapped) as view:
        if mapped[: len(ZIP_HEAD)] == ZIP_HEAD:
            # What was hashed ended with a comment length of zero; the true one follows from the seal.
            stored = int.from_bytes(view[start - 2 : start], "little")
            digest.update(view[: start - 2])
            digest.update(bytes(2) if stored == len(view) - start else b"??")
        else:
            digest.update(view[:start])
    digest.update(document)
    return digest.digest()
