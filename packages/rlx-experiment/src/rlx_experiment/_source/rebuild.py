"""A launch tree from its archive, with nothing in it that reaches beyond its folder."""

import hashlib
import lzma
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, cast

from rlx_experiment._source.files import LARGE, leads_out

MAX_BYTES: Final = 4 * 2**30
MAX_FILES: Final = 500_000
_BLOCK: Final = 512
_HEADER: Final = 2**20
"""Bytes that a tar header may have; longer ones are made to fill memory."""


class UnsafeArchiveError(ValueError):
    """An archive holds something that a launch archive never holds; nothing of it is used."""


class _Reader(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def extract_archive(archive: Path, target: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Write the files of a launch archive into `target`, a folder that must not exist, be empty or a worktree without files.

    Only plain files below 8 MiB and links that stay inside are written; anything else that a tar can hold is an error.

    Args:
        archive: The ``.tar.xz`` file.
        target: The folder to fill.
        max_bytes: Bytes of tar, unpacked, from which the archive is refused.

    Raises:
        FileExistsError: `target` holds something.
        UnsafeArchiveError: Absolute names, ``..``, ``.git``, devices, links that lead out, a name twice, or too much.
        EOFError, lzma.LZMAError, tarfile.TarError: The archive is damaged.
    """
    target.mkdir(parents=True, exist_ok=True)
    if any(path.name != ".git" for path in target.iterdir()):
        raise FileExistsError(f"{target} is not empty; choose a new folder")
    links: list[tuple[Path, str]] = []
    for name, member, content in _checked_members(archive, max_bytes):
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            links.append((path, member.linkname))
            continue
        _refuse_twice(archive, path)
        path.write_bytes(content)
        if member.mode & stat.S_IXUSR:
            path.chmod(0o755)
    for path, link in links:  # last, so that no file is written through one
        _refuse_twice(archive, path)
        path.symlink_to(link)


def read_archive(archive: Path) -> dict[str, str]:
    """Return name and digest of every file of a launch archive; nothing is written. Errors as in `extract_archive`."""
    return {
        str(name): member.linkname
        if member.issym()
        else f"{member.mode & stat.S_IXUSR} {hashlib.sha256(content).hexdigest()}"
        for name, member, content in _checked_members(archive, MAX_BYTES)
    }


def _checked_members(archive: Path, max_bytes: int) -> Iterator[tuple[PurePosixPath, tarfile.TarInfo, bytes]]:
    """Yield name, header and content of each member, refusing what a launch archive never holds."""
    with archive.open("rb") as raw, lzma.open(raw) as unpacked:
        bounded = _Bounded(unpacked, max_bytes, archive)
        with tarfile.open(fileobj=cast("BinaryIO", bounded), mode="r:") as tar:
            for count, member in enumerate(tar):
                if count >= MAX_FILES:
                    raise UnsafeArchiveError(f"{archive} holds more than {MAX_FILES} files")
                name = _checked_name(archive, member)
                content = tar.extractfile(member) if member.isreg() else None
                yield name, member, content.read() if content else b""
        if len(bounded.drain()) < _BLOCK:
            raise EOFError(f"{archive} is cut short: the end of the tar is missing")


def _checked_name(archive: Path, member: tarfile.TarInfo) -> PurePosixPath:
    name = PurePosixPath(member.name)
    inside = bool(name.parts) and not name.is_absolute() and ".." not in name.parts
    if not inside or (os.name == "nt" and any(char in member.name for char in "\\:")):
        raise UnsafeArchiveError(f"{archive} holds the name {member.name!r}, which leads out of its folder")
    if any(part.lower() == ".git" for part in name.parts):
        raise UnsafeArchiveError(f"{archive} holds {member.name!r}, which git would obey")
    if member.issym():
        if leads_out(member.name, member.linkname):
            raise UnsafeArchiveError(
                f"{archive} holds the link {member.name!r} to {member.linkname!r}, which leads out"
            )
    elif not member.isreg() or member.issparse():
        raise UnsafeArchiveError(f"{archive} holds {member.name!r}, which is neither file nor link")
    elif member.size >= LARGE:
        raise UnsafeArchiveError(
            f"{archive} holds {member.name!r} of {member.size} bytes; launch archives stay below 8 MiB"
        )
    return name


def _refuse_twice(archive: Path, path: Path) -> None:
    if os.path.lexists(path):
        raise UnsafeArchiveError(f"{archive} holds {path.name!r} twice")


class _Bounded:
    """What tarfile needs of a file, over a stream that goes forward only, until too much is read, in all or at once."""

    def __init__(self, stream: _Reader, limit: int, archive: Path) -> None:
        self._stream = stream
        self._limit = limit
        self._archive = archive
        self._position = 0
        self._last = b""
        self._again = b""

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position - len(self._again)

    def seek(self, position: int) -> None:
        """Go forward to `position`, or back by the one byte that tarfile looks at twice."""
        if position == self._position - 1 and self._last:
            self._again = self._last
        while self.tell() < position and self.read(min(position - self.tell(), LARGE)):
            pass

    def drain(self) -> bytes:
        """Read to the end, so that damage there is noticed; return the last of it."""
        last = b""
        while data := self.read(_BLOCK * 128):
            last = data
        return last

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes."""
        if size > LARGE + _HEADER or self._position > self._limit:
            raise UnsafeArchiveError(f"{self._archive} unpacks to more than is allowed")
        again, self._again = self._again[:size], b""
        data = self._stream.read(size - len(again))
        self._position += len(data)
        self._last = (again + data)[-1:] or self._last
        return again + data
