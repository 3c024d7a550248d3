"""``launch_archive.tar.xz``: a repository's files in a form that plain ``tar`` reads, built from reusable pieces.

An ``.xz`` file may be several streams one after another. Here each stream holds a group of neighbouring files, so
an archive of a changed tree takes the groups that did not change from an earlier archive, as bytes.
"""

import hashlib
import io
import lzma
import os
import tarfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from rlx_experiment._source.files import ARCHIVE_FILE, LARGE, Entry, read_entries

_END: Final = lzma.compress(bytes(1024), preset=0)
"""The two empty blocks that end a tar."""
_FILES_PER_GROUP: Final = 32


class Piece(NamedTuple):
    """Where the stream of one group of files lies in an archive."""

    archive: Path
    offset: int
    size: int


def make_launcher_archive(*, git_root_path: str, log_dir: str) -> None:
    """Save the launcher's repository as ``launch_archive.tar.xz`` in `log_dir`.

    Taken are tracked and untracked files, not ignored ones, each below 8 MiB. Links are kept as links, submodules are
    taken file by file; run folders, files that look like credentials, and links that lead out stay out.

    Args:
        git_root_path: Absolute path of the working tree.
        log_dir: Folder for the archive.
    """
    files = read_entries(Path(git_root_path))
    warn_if_large(git_root_path, files.total_size)
    write_archive(Path(log_dir) / ARCHIVE_FILE, Path(git_root_path), files.entries, {})


def warn_if_large(root: str, size: int) -> None:
    """Warn if a repository of `size` bytes is so large that archiving it may be slow."""
    if size >= LARGE:
        warnings.warn(
            f"archiving the launch repository {root} of {size / 2**20:.0f} MiB; this may be slow the first time. "
            "Set archive_launch_repo=False in wrap_experiment to leave it out.",
            stacklevel=3,
        )


def write_archive(
    target: Path, root: Path, entries: Iterable[Entry], known: Mapping[str, Piece]
) -> dict[str, Piece]:
    """Write the archive of `entries` to `target`, whole or not at all.

    Args:
        target: The archive file.
        root: Folder of the files.
        entries: The files, sorted by name.
        known: Streams of earlier archives, by the key of their group.

    Returns:
        The streams of the new archive.
    """
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    pieces: dict[str, Piece] = {}
    try:
        with temporary.open("wb") as file:
            for group in _groups(entries):
                key = _group_key(group)
                stream = _read_piece(known[key]) if key in known else _compress(root, group)
                pieces[key] = Piece(target, file.tell(), len(stream))
                file.write(stream)
            file.write(_END)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return pieces


def _groups(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield neighbouring entries; where groups end depends on names alone, so one new file changes one group."""
    group: list[Entry] = []
    for entry in entries:
        group.append(entry)
        if hashlib.sha256(os.fsencode(entry.name)).digest()[0] % _FILES_PER_GROUP == 0:
            yield group
            group = []
    if group:
        yield group


def _group_key(group: list[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in group:
        digest.update(repr(entry).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read_piece(piece: Piece) -> bytes:
    with piece.archive.open("rb") as file:
        file.seek(piece.offset)
        return file.read(piece.size)


def _compress(root: Path, group: list[Entry]) -> bytes:
    """Return the group as one xz stream of tar members, without the end of the tar."""
    buffer = io.BytesIO()
    size = 0
    with closing(tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT)) as archive:
        for entry in group:
            _add(archive, root, entry)
        size = archive.offset
    return lzma.compress(buffer.getvalue()[:size], preset=1)


def _add(archive: tarfile.TarFile, root: Path, entry: Entry) -> None:
    """Add one file with what matters to a program: name, content, whether executable; times and owners do not."""
    member = tarfile.TarInfo(entry.name)
    if entry.link is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.link, 0o777
        archive.addfile(member)
        return
    try:
        content = (root / entry.name).read_bytes()
    except FileNotFoundError:  # gone since it was listed
        return
    member.size, member.mode = len(content), 0o755 if entry.executable else 0o644
    archive.addfile(member, io.BytesIO(content))
