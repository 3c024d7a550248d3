"""Which files of a repository a run keeps, and which it only lists."""

import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final, NamedTuple

from rlx_experiment._lock import LOCK_FILE
from rlx_experiment._secrets import is_secret_file
from rlx_experiment._source import git

ARCHIVE_FILE: Final = "launch_archive.tar.xz"
LFS_POINTER: Final = "pointer of Git LFS"
"""Why the content of a file is not kept that was never fetched; the pointer is."""
_LFS_HEAD: Final = b"version https://git-lfs.github.com/spec/"
_LFS_SIZE: Final = 1024
"""Bytes below which a pointer stays."""
LARGE: Final = 8 * 2**20
"""Bytes from which a file stays out of archives and a repository earns a warning."""


class Entry(NamedTuple):
    """A file that is kept: what it takes to write it again, and to know it is the same."""

    name: str
    executable: bool
    link: str | None
    """Target of a symbolic link."""
    digest: str
    """SHA-256 of the content; empty for a link."""


class RepositoryFiles(NamedTuple):
    """The files of a repository, sorted by name."""

    entries: list[Entry]
    left_out: list[dict[str, object]]
    """Files that are listed, not kept: path, reason, and size and digest (but of secrets the path alone)."""
    total_size: int
    """Bytes of all, without secrets."""


Large = tuple[str, int, int]
"""Name, size and time of change of a large file, which stand for its content."""


def read_entries(root: Path, known: Mapping[Large, str] = MappingProxyType({})) -> RepositoryFiles:
    """Read every tracked or untracked, not ignored file of the repository `root`, those of submodules included.

    Args:
        root: Folder of the files.
        known: Digests of large files, which need not be read again.
    """
    names = without_runs(root, git.list_files(root))
    entries: list[Entry] = []
    left_out: list[dict[str, object]] = []
    total = 0
    for name in names:
        kept = _read_entry(root, name, known)
        if isinstance(kept, Entry):
            entries.append(kept)
            total += (root / name).lstat().st_size
            if _is_lfs_pointer(root / name):
                left_out.append({"path": name, "reason": LFS_POINTER})
        elif kept is not None:
            left_out.append(kept)
            size = kept.get("size", 0)
            total += size if isinstance(size, int) else 0
    left_out.extend({"path": name, "reason": "ignored"} for name in git.list_ignored(root))
    return RepositoryFiles(entries=entries, left_out=left_out, total_size=total)


def without_runs(root: Path, names: Sequence[str]) -> list[str]:
    """Return those of `names`, relative to `root`, that do not lie in a run folder."""
    known: dict[PurePosixPath, bool] = {}

    def in_run(folder: PurePosixPath) -> bool:
        if folder not in known:
            parent = folder.parent
            known[folder] = (parent != folder and in_run(parent)) or (root / folder / LOCK_FILE).exists()
        return known[folder]

    return [name for name in names if not in_run(PurePosixPath(name).parent)]


def _read_entry(root: Path, name: str, known: Mapping[Large, str]) -> Entry | dict[str, object] | None:
    """Return the file as an entry, or as an item of what is left out; None if it is gone or no file."""
    path = root / name
    if is_secret_file(name):
        return {"path": name, "reason": "secret"}
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            return _read_link(root, name)
        if not stat.S_ISREG(status.st_mode):
            return None
        if status.st_size >= LARGE:
            return _describe_large(path, (name, status.st_size, status.st_mtime_ns), known)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except PermissionError:
        return {"path": name, "reason": "unreadable"}
    return Entry(name, bool(status.st_mode & stat.S_IXUSR), None, digest)


def _is_lfs_pointer(path: Path) -> bool:
    if path.is_symlink() or path.stat().st_size >= _LFS_SIZE:
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_HEAD)) == _LFS_HEAD


def _describe_large(path: Path, large: Large, known: Mapping[Large, str]) -> dict[str, object]:
    digest = known.get(large)
    if digest is None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    name, size, changed_ns = large
    return {"path": name, "reason": "large", "size": size, "sha256": digest, "changed_ns": changed_ns}


def _read_link(root: Path, name: str) -> Entry | dict[str, object]:
    target = os.readlink(root / name)  # noqa: PTH115 - Path.readlink changes the text
    if leads_out(name, target):
        return {"path": name, "reason": "link out of the repository", "target": target}
    return Entry(name, executable=False, link=target, digest="")


def leads_out(name: str, target: str) -> bool:
    """Return whether a link called `name` leads out of the tree that `name` is relative to, by its text alone."""
    if (
        target.startswith(("/", "\\"))
        or PurePosixPath(target).is_absolute()
        or ":" in target.partition("/")[0]
    ):
        return True
    joined = os.path.normpath(os.path.join(os.path.dirname(name), target)).replace(os.sep, "/")  # noqa: PTH118, PTH120
    return joined == ".." or joined.startswith("../")
