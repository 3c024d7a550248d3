"""What a snapshot file says about itself, without unpickling it."""

import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlx_snapshot._errors import DamagedSnapshotError
from rlx_snapshot._format.container import Container, check_buffers, open_container
from rlx_snapshot._format.layout import NO_ITERATION, SIGNED, VERSION
from rlx_snapshot._settings import SigningKey, key_from, path_of


@dataclass(frozen=True, kw_only=True)
class BufferDescription:
    """One large buffer of a snapshot: where it lies, in bytes, and the checksum of each of its MiB."""

    offset: int
    length: int
    readonly: bool
    checksums: Sequence[int]


@dataclass(frozen=True, kw_only=True)
class Description:
    """A snapshot file.

    `format_version` is None for another program's plain pickle, of which only path and
    size are known. `versions` names Python and the libraries that the saving program had loaded.
    """

    path: str
    size: int
    format_version: int | None = None
    iteration: int | None = None
    signed: bool = False
    checksum: int | None = None
    versions: Mapping[str, str]
    buffers: Sequence[BufferDescription] = ()


def describe(path: str | os.PathLike[str]) -> Description:
    """Read what a file says about itself; nothing is unpickled, large buffers are not read.

    Raises:
        DamagedSnapshotError: If what is read is not what was saved.
    """
    return _describe(open_container(path_of("path", path)))


def verify(path: str | os.PathLike[str], *, signing_key: SigningKey | None = None) -> Description:
    """Check every byte of a file, and its signature if there is a key; nothing is unpickled.

    Another program's plain pickle has no checksums: it passes with
    ``format_version`` None if it ends as a pickle does.

    Raises:
        DamagedSnapshotError: If the file is not what was saved, or neither a snapshot nor a pickle.
        UntrustedSnapshotError: If there is a key and the file is not signed with it.
    """
    container = open_container(path_of("path", path), key_from(signing_key))
    if container.footer is None and bytes(container.pristine[-1:]) != pickle.STOP:
        raise DamagedSnapshotError(container.path, "it is neither a snapshot nor a whole pickle")
    check_buffers(container)
    return _describe(container)


def _describe(container: Container) -> Description:
    footer, index = container.footer, container.index
    if footer is None or index is None:
        return Description(path=str(container.path), size=len(container.data), versions={})
    digests = iter(index.digests)
    return Description(
        path=str(container.path),
        size=len(container.data),
        format_version=VERSION,
        iteration=None if footer.iteration == NO_ITERATION else footer.iteration,
        signed=bool(footer.flags & SIGNED),
        checksum=footer.structure_digest,
        versions={"python": str(index.metadata["python"]), **index.metadata["libraries"]},
        buffers=tuple(
            BufferDescription(
                offset=buffer.offset,
                length=buffer.length,
                readonly=buffer.readonly,
                checksums=tuple(next(digests) for _ in range(buffer.chunks)),
            )
            for buffer in index.buffers
        ),
    )
