"""Snapshots at a URL that fsspec understands."""

import importlib
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rlx_snapshot._errors import DamagedSnapshotError, SnapshotNotFoundError
from rlx_snapshot._format.layout import FOOTER_BYTES, iteration_in_footer
from rlx_snapshot._modes import DISCARDED, LATEST, iteration_of, numbered

_WHOLE_OR_NOTHING: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"})
"""Object stores: what is uploaded appears complete, so no temporary name is needed."""


class RemotePlace:
    """A URL. Files are written to a temporary directory and uploaded."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._files, self._root = _file_system(url)
        self._files.makedirs(self._root, exist_ok=True)
        import tempfile

        self.directory = Path(tempfile.mkdtemp(prefix="rlx-snapshot-"))
        weakref.finalize(self, _remove_own, self.directory, os.getpid())

    def publish(self, name: str) -> None:
        """Upload a file; readers see the old one or the new one."""
        _upload(self._files, self.directory / name, f"{self._root}/{name}")
        if name != LATEST:
            (self.directory / name).unlink()

    def iterations(self) -> list[int]:
        """The numbered iterations that were uploaded."""
        found = (iteration_of(name) for name in _names(self._files, self._root))
        return sorted(itr for itr in found if itr is not None)

    def latest_iteration(self) -> int | None:
        """The iteration that the uploaded replaced file says it holds."""
        path = f"{self._root}/{LATEST}"
        if not self._files.exists(path):
            return None
        return iteration_in_footer(self._files.cat_file(path, start=-FOOTER_BYTES))

    def remove(self, itr: int) -> None:
        """Remove an uploaded file."""
        self._files.rm_file(f"{self._root}/{numbered(itr)}")

    def put_away(self, names: Sequence[str]) -> None:
        """Move uploaded files, in this order, to a new folder below ``discarded/``."""
        root = f"{self._root}/{DISCARDED}"
        taken = {int(name) for name in _names(self._files, root) if name.isdecimal()}
        folder = f"{root}/{max(taken, default=0) + 1}"
        self._files.makedirs(folder, exist_ok=True)
        for name in names:
            self._files.mv(f"{self._root}/{name}", f"{folder}/{name}")


class Downloads:
    """Brings the files that an iteration may mean from a URL into a directory, a few at a time."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._files, self._root = _file_system(url)
        self._directory = directory
        self._names = _names(self._files, self._root)
        self._older: list[int] = sorted(itr for itr in map(iteration_of, self._names) if itr is not None)

    def fetch(self, itr: int | str) -> None:
        """Download what a `selection` may mean; SnapshotNotFoundError if there is nothing."""
        wanted = [LATEST] if LATEST in self._names else []
        if isinstance(itr, int):
            wanted = [numbered(itr)] if itr in self._older else wanted
        elif self._older:
            wanted.append(numbered(self._older.pop(0 if itr == "first" else -1)))
        if not wanted:
            raise self.missing(itr)
        for name in wanted:
            self._download(name)

    def missing(self, itr: int | str) -> SnapshotNotFoundError:
        """The error of an iteration that is not there."""
        return SnapshotNotFoundError(itr, self._url, self._names)

    def fetch_older(self, damage: DamagedSnapshotError) -> None:
        """Download the next older numbered file; raises `damage` if there is none."""
        if not self._older:
            raise damage
        self._download(numbered(self._older.pop()))

    def _download(self, name: str) -> None:
        self._files.get_file(f"{self._root}/{name}", str(self._directory / name))


def _remove_own(directory: Path, owner: int) -> None:
    """Remove a temporary directory, but not at the end of a forked child, which did not make it."""
    import shutil

    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


def _file_system(url: str) -> tuple[Any, str]:
    try:
        core: Any = importlib.import_module("fsspec.core")
    except ModuleNotFoundError as error:
        if error.name not in {"fsspec", "fsspec.core"}:
            raise
        msg = f"snapshots at {url} need fsspec, which is not installed: pip install 'rlx-snapshot[fsspec]'"
        raise ModuleNotFoundError(msg, name="fsspec") from error
    files, root = core.url_to_fs(url)
    return files, str(root).rstrip("/")


def _names(files: Any, root: str) -> list[str]:
    if not files.exists(root):
        return []
    return [str(path).rstrip("/").rpartition("/")[2] for path in files.ls(root, detail=False, refresh=True)]


def _upload(files: Any, source: Path, target: str) -> None:
    protocols = {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
    if protocols & _WHOLE_OR_NOTHING:
        files.put_file(str(source), target)
        return
    hidden = f"{target}.uploading"
    files.put_file(str(source), hidden)
    files.mv(hidden, target)
