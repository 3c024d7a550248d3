"""Reading a snapshot file: check first, unpickle afterwards."""

import mmap
import os
import pickle
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rlx_snapshot import _platform
from rlx_snapshot._errors import (
    DamagedSnapshotError,
    SnapshotVersionError,
    UntrustedSnapshotError,
)
from rlx_snapshot._files import open_regular
from rlx_snapshot._format.digests import chunk_digests, digest_of, digest_of_all
from rlx_snapshot._format.layout import (
    FOOTER_BYTES,
    HEAD,
    SIGNED,
    VERSION,
    Footer,
    Index,
    iteration_in_footer,
    next_buffer,
    unpack_footer,
    unpack_index,
    version_in_footer,
    version_in_head,
)
from rlx_snapshot._format.libraries import changed_since, in_words
from rlx_snapshot._format.seal import signature_of, signatures_match, stretches

_MAPPED_FROM: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Container:
    """The bytes of one snapshot file; `footer` and `index` are None for another program's plain pickle.

    `data` belongs to the loaded objects, which may change it; `pristine` shows
    the file itself.
    """

    path: str | Path
    data: memoryview
    pristine: memoryview
    footer: Footer | None = None
    index: Index | None = None

    @property
    def may_be_checked_later(self) -> bool:
        """Whether `pristine` stays what it is when the loaded objects change `data`."""
        return self.pristine is not self.data


def open_container(path: Path, key: bytes | None = None) -> Container:
    """Open a file and check everything but the contents of its large buffers.

    Raises:
        DamagedSnapshotError: If a length or checksum is wrong.
        SnapshotVersionError: If a later version of this package wrote it.
        UntrustedSnapshotError: If there is a key and the file is not signed with it.
    """
    data, pristine = _bytes_of(path)
    if not _is_ours(path, data):
        if key is not None:
            raise UntrustedSnapshotError(path, "it is another program's file, without a signature")
        return Container(path=path, data=data, pristine=pristine)
    footer, signature = _checked_footer(path, data)
    if key is not None:
        _check_signature(path, data, footer, signature, key)
    index = _checked_index(path, data, footer)
    return Container(path=path, data=data, pristine=pristine, footer=footer, index=index)


def check_buffers(container: Container) -> None:
    """Compare the contents of all large buffers with their checksums; DamagedSnapshotError if one differs."""
    if container.index is None:
        return
    expected = iter(container.index.digests)
    for number, buffer in enumerate(container.index.buffers):
        payload = container.pristine[buffer.offset : buffer.end]
        for chunk, digest in enumerate(chunk_digests(payload)):
            if digest != next(expected):
                raise DamagedSnapshotError(container.path, f"MiB {chunk} of buffer {number} has changed")
    _read_ahead_again(container.data)


def unpickled(container: Container) -> Any:
    """Load the objects. Large arrays share the container's memory, which is theirs alone."""
    if container.footer is None or container.index is None:
        return _foreign(container)
    buffers = container.index.buffers
    views = (container.data[buffer.offset : buffer.end] for buffer in buffers)
    try:
        return pickle.loads(skeleton(container), buffers=views)
    except Exception as error:
        error.add_note(_why_not_loaded(container))
        raise


def libraries_of(container: Container) -> Mapping[str, str]:
    """Name and version of the libraries that a state came from, as far as its file knows."""
    libraries: Mapping[str, str] = {} if container.index is None else container.index.metadata["libraries"]
    return libraries


def _why_not_loaded(container: Container) -> str:
    changed = in_words(changed_since(libraries_of(container)))
    here = (
        f"Since it was saved, {changed}"
        if changed
        else "What it names must be importable here for it to load"
    )
    return f"{container.path} is intact. {here}."


def skeleton(container: Container) -> bytes:
    """The pickle without the contents of its large buffers, which are to be passed beside it."""
    return b"".join(_skeleton_pieces(container))


def _skeleton_pieces(container: Container) -> Iterator[bytes | memoryview]:
    footer, index, data = container.footer, container.index, container.data
    if footer is None or index is None:
        yield data
        return
    start = 0
    for buffer in index.buffers:
        yield data[start : buffer.gap]
        yield next_buffer(buffer)
        start = buffer.end
    yield data[start : footer.stream_length]


def iteration_in(path: Path) -> int | None:
    """The iteration that a snapshot says it holds, None where it says nothing or makes no sense."""
    with open_regular(path) as file:
        file.seek(-min(FOOTER_BYTES, os.fstat(file.fileno()).st_size), os.SEEK_END)
        end = file.read()
    return iteration_in_footer(end)


def _bytes_of(path: Path) -> tuple[memoryview, memoryview]:
    """The contents twice: to be changed, and as they stand in the file."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size < _MAPPED_FROM or _platform.WINDOWS:  # there a mapped file cannot be replaced
            contents = memoryview(bytearray(file.read()))
            return contents, contents
        own = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
        own.madvise(mmap.MADV_RANDOM)  # a few small places are wanted first, not what lies behind them
        return memoryview(own), memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))


def _read_ahead_again(data: memoryview) -> None:
    """End what was asked for when the file was opened: from here on its reader knows best."""
    if isinstance(data.obj, mmap.mmap):
        data.obj.madvise(mmap.MADV_NORMAL)


def _is_ours(path: Path, data: memoryview) -> bool:
    if len(data) < len(HEAD) + FOOTER_BYTES and bytes(data).startswith(HEAD[: len(data)]):
        raise DamagedSnapshotError(path, f"it ends after {len(data)} bytes")
    versions = (version_in_head(bytes(data[: len(HEAD)])), version_in_footer(bytes(data[-FOOTER_BYTES:])))
    if versions == (None, None):
        return False
    if versions[0] != versions[1]:
        missing = "its end is missing or changed" if versions[1] is None else "its beginning has changed"
        raise DamagedSnapshotError(path, missing)
    if versions[0] != VERSION:
        raise SnapshotVersionError(path, versions[0] or 0, VERSION)
    return True


def _checked_footer(path: Path, data: memoryview) -> tuple[Footer, bytes]:
    footer, signature, digest = unpack_footer(bytes(data[-FOOTER_BYTES:]))
    if footer.stream_length + footer.index_length + FOOTER_BYTES != len(data):
        raise DamagedSnapshotError(path, f"it is {len(data)} bytes long, which is not what its end says")
    index = data[footer.stream_length : -FOOTER_BYTES]
    if digest_of(index, footer.pack(), signature) != digest:
        raise DamagedSnapshotError(path, "its index has changed")
    return footer, signature


def _check_signature(path: Path, data: memoryview, footer: Footer, signature: bytes, key: bytes) -> None:
    if not footer.flags & SIGNED:
        raise UntrustedSnapshotError(path, "it is not signed")
    if not signatures_match(signature, signature_of([data[:-FOOTER_BYTES], footer.pack()], key)):
        raise UntrustedSnapshotError(path, "its signature was made with another key, or it was changed since")


def _checked_index(path: Path, data: memoryview, footer: Footer) -> Index:
    try:
        index = unpack_index(bytes(data[footer.stream_length : -FOOTER_BYTES]), footer)
    except (ValueError, RecursionError, struct.error) as error:
        raise DamagedSnapshotError(path, f"its index makes no sense ({error})") from error
    pieces = stretches(index.buffers, footer.stream_length)
    if digest_of_all(data[start:end] for start, end in pieces) != footer.structure_digest:
        raise DamagedSnapshotError(path, "the pickle between its large buffers has changed")
    return index


def _foreign(container: Container) -> Any:
    try:
        return pickle.loads(container.data)
    except Exception as error:
        # Without checksums, a changed byte and a class that is not installed look alike.
        problem = (
            f"loading it raised {type(error).__name__} ({error}). Or it is intact, and its classes "
            "are missing here: then install the module that this names"
        )
        raise DamagedSnapshotError(container.path, problem) from error
