"""A run's source code, stored once per state of the code.

The store, a folder beside the runs, has one archive per code state, and every run of that state a hard link to it.
A run folder is whole by itself: copied elsewhere, it takes the archive along.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rlx_experiment._arguments.encoder import write_json
from rlx_experiment._lock import FileLock
from rlx_experiment._source import git
from rlx_experiment._source.files import ARCHIVE_FILE, LARGE, without_runs

if TYPE_CHECKING:
    from rlx_experiment._source.archive import Piece
    from rlx_experiment._source.files import Large

SOURCE_FILE: Final = "source.json"
_FORMAT: Final = "2"
_TRIES: Final = 2
"""How often a tree is read that changes meanwhile."""


def capture_source(tree: git.WorkingTree, run_folder: Path, store: Path) -> None:
    """Give the run a link to the archive of the code state `tree`, and a record of that state.

    Args:
        tree: State of the launcher's repository.
        run_folder: Gets ``launch_archive.tar.xz`` and ``source.json``.
        store: Folder of the archives; made if need be.
    """
    key, tree, about = _SourceStore(store).require(tree)
    if about["total_size"] >= LARGE:
        from rlx_experiment._source.archive import warn_if_large

        warn_if_large(str(tree.root), about["total_size"])
    _link(store / f"{key}.tar.xz", run_folder / ARCHIVE_FILE)
    write_json(run_folder / SOURCE_FILE, {"state": key, **describe(tree), "left_out": about["left_out"]})


def share_source(origin: Path, run_folder: Path) -> None:
    """Give a run the source of the run `origin`."""
    for name in (ARCHIVE_FILE, SOURCE_FILE):
        if (origin / name).exists():
            _link(origin / name, run_folder / name)


def describe(tree: git.WorkingTree) -> dict[str, object]:
    """Return what is recorded about a working tree besides its files."""
    return {
        "root": str(tree.root),
        "commit": tree.commit,
        "branch": tree.branch,
        "changed": without_runs(tree.root, tree.changed),
        "deleted": without_runs(tree.root, tree.deleted),
        "untracked": without_runs(tree.root, tree.untracked),
    }


def state_key(tree: git.WorkingTree) -> str:
    """Return the name of a code state: equal for equal files. Only files that differ from the commit are read."""
    digest = hashlib.sha256()
    for item in _differences(tree):
        digest.update(item.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:32]


def _differences(tree: git.WorkingTree) -> Iterator[str]:
    yield f"{_FORMAT} {tree.commit}"
    for name in sorted(without_runs(tree.root, tree.deleted)):
        yield f"deleted {name}"
    for name in sorted(without_runs(tree.root, (*tree.changed, *tree.untracked))):
        yield f"{name} {_fingerprint(tree.root / name)}"


def _fingerprint(path: Path) -> str:
    """Return what tells one content of a file, link or repository from another."""
    try:
        status = path.lstat()
        if path.is_symlink():
            return f"link {os.readlink(path)}"  # noqa: PTH115 - Path.readlink changes the text
        if path.is_dir():  # a submodule, or a repository inside this one
            inner = git.read_tree(path)
            return state_key(inner) if inner else "empty"
        if status.st_size >= LARGE:
            return f"large {status.st_size} {status.st_mtime_ns}"
        return f"{status.st_mode & 0o100} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        return "unreadable"


def _link(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where links cannot be made."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # another file system, or none that knows links
        import shutil

        shutil.copyfile(source, target)


class _Stored(NamedTuple):
    """An archive of the store, and the state of the code that is in it."""

    key: str
    tree: git.WorkingTree
    about: Mapping[str, Any]
    """What is remembered of it: sizes, what was left out, its pieces."""


class _SourceStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def require(self, tree: git.WorkingTree) -> _Stored:
        """Return the archive of the state `tree`, building it if nobody has."""
        key = state_key(tree)
        index = self._read_index(self._index_path(key))
        if index is not None:
            return _Stored(key, tree, index)
        self._folder.mkdir(parents=True, exist_ok=True)
        ignore = self._folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        with FileLock(self._folder / "lock"):  # of many launches at once, one builds
            return self._find_or_build(tree, key, tries=_TRIES)

    def _find_or_build(self, tree: git.WorkingTree, key: str, *, tries: int) -> _Stored:
        """Return the archive of a state that held still for as long as it took to read it.

        The files of a tree that never does are kept under a name that no other run looks for.
        """
        index = self._read_index(self._index_path(key))
        if index is not None:
            return _Stored(key, tree, index)
        index = self._build(key, tree)
        now = git.read_tree(tree.root) or tree
        if state_key(now) == key:
            write_json(self._index_path(key), index)
            return _Stored(key, tree, index)
        if tries > 1:
            self._archive_path(key).unlink()
            return self._find_or_build(now, state_key(now), tries=tries - 1)
        restless = f"{key}-{os.urandom(4).hex()}"
        self._archive_path(key).rename(self._archive_path(restless))
        return _Stored(restless, tree, index)

    def _archive_path(self, key: str) -> Path:
        return self._folder / f"{key}.tar.xz"

    def _index_path(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _read_index(self, path: Path) -> dict[str, Any] | None:
        """Return an index; None if it, or its archive, is not there or was cut short by a crash."""
        try:
            index: dict[str, Any] = json.loads(path.read_bytes())
            size = self._archive_path(path.stem).stat().st_size
        except (FileNotFoundError, ValueError):
            return None
        return index if index.get("size") == size else None

    def _build(self, key: str, tree: git.WorkingTree) -> dict[str, Any]:
        """Write the archive of the files of `tree`; return its index."""
        from rlx_experiment._source.archive import write_archive
        from rlx_experiment._source.files import read_entries

        newest = self._newest_indexes()
        archive = self._archive_path(key)
        files = read_entries(tree.root, _known_digests(newest.values()))
        pieces = write_archive(archive, tree.root, files.entries, _known_pieces(newest))
        return {
            "size": archive.stat().st_size,
            "total_size": files.total_size,
            "left_out": files.left_out,
            "pieces": {name: (piece.offset, piece.size) for name, piece in pieces.items()},
        }

    def _newest_indexes(self) -> dict[Path, dict[str, Any]]:
        """Return the newest archives with what is known about each, oldest first."""
        paths = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)[-8:]
        found = {self._archive_path(path.stem): self._read_index(path) for path in paths}
        return {archive: index for archive, index in found.items() if index is not None}


def _known_pieces(indexes: Mapping[Path, Mapping[str, Any]]) -> "dict[str, Piece]":
    """Return the streams of archives."""
    from rlx_experiment._source.archive import Piece

    return {
        name: Piece(archive, *place)
        for archive, index in indexes.items()
        for name, place in index["pieces"].items()
    }


def _known_digests(indexes: Iterable[Mapping[str, Any]]) -> "dict[Large, str]":
    """Return the digests of the large files that were left out of archives."""
    return {
        (item["path"], item["size"], item["changed_ns"]): item["sha256"]
        for index in indexes
        for item in index["left_out"]
        if item["reason"] == "large"
    }
