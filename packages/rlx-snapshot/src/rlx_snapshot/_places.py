"""Where snapshots are kept: a directory, or a URL that fsspec understands."""

import importlib
import os
import weakref
from pathlib import Path
from typing import Any, Final, Protocol

from rlx_snapshot._errors import DamagedSnapshotError, SnapshotNotFoundError
from rlx_snapshot._files import numbered_iterations
from rlx_snapshot._modes import LATEST, iteration_of, numbered

_WHOLE_OR_NOTHING: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"})
"""Object stores: what is uploaded appears complete, so no temporary name is needed."""


class Place(Protocol):
    """Where a snapshotter keeps its files."""

    @property
    def name(self) -> str:
        """The directory or URL, as it was given."""
        ...

    @property
    def directory(self) -> Path:
        """The local directory that files are written to first, or for good."""
        ...

    def publish(self, name: str) -> None:
        """Bring a file that was written to `directory` where it belongs."""
        ...

    def iterations(self) -> list[int]:
        """The numbered iterations that are kept, ascending."""
        ...

    def remove(self, itr: int) -> None:
        """Remove a numbered iteration."""
        ...


class LocalPlace:
    """A directory of this machine, made if missing."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory

    @property
    def name(self) -> str:
        """The path."""
        return str(self.directory)

    def publish(self, name: str) -> None:
        """Nothing to do: it was written in place."""

    def iterations(self) -> list[int]:
        """The numbered iterations that have a file."""
        return numbered_iterations(self.directory)

    def remove(self, itr: int) -> None:
        """Remove a numbered file."""
        (self.directory / numbered(itr)).unlink(missing_ok=True)


class RemotePlace:
    """A URL. Files are written to a temporary directory and uploaded."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._files, self._root = _file_system(url)
        self._files.makedirs(self._root, exist_ok=True)
        import shutil
        import tempfile

        self.directory = Path(tempfile.mkdtemp(prefix="rlx-snapshot-"))
        weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)

    def publish(self, name: str) -> None:
        """Upload a file; readers see the old one or the new one."""
        _upload(self._files, self.directory / name, f"{self._root}/{name}")
        if name != LATEST:
            (self.directory / name).unlink()

    def iterations(self) -> list[int]:
        """The numbered iterations that were uploaded."""
        found = (iteration_of(name) for name in _names(self._files, self._root))
        return sorted(itr for itr in found if itr is not None)

    def remove(self, itr: int) -> None:
        """Remove an uploaded file."""
        self._files.rm_file(f"{self._root}/{numbered(itr)}")


class Downloads:
    """Brings the files that an iteration may mean from a URL into a directory, a few at a time."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._files, self._root = _file_system(url)
        self._directory = directory
        self._names = _names(self._files, self._root)
        self._older: list[int] = sorted(itr for itr in map(iteration_of, self._names) if itr is not None)

    def fetch(self, itr: int | str) -> None:
        """Download what `itr` may mean; SnapshotNotFoundError if there is nothing."""
        wanted = [LATEST] if LATEST in self._names else []
        if self._older and itr in {"first", "last"}:
            wanted.append(numbered(self._older.pop(0 if itr == "first" else -1)))
        elif isinstance(itr, int) or itr.isdigit():
            wanted = [numbered(int(itr))] if int(itr) in self._older else wanted
        if not wanted:
            raise SnapshotNotFoundError(itr, self._url, self._names)
        for name in wanted:
            self._download(name)

    def fetch_older(self, damage: DamagedSnapshotError) -> None:
        """Download the next older numbered file; raises `damage` if there is none."""
        if not self._older:
            raise damage
        self._download(numbered(self._older.pop()))

    def _download(self, name: str) -> None:
        self._files.get_file(f"{self._root}/{name}", str(self._directory / name))


def is_url(place: str | os.PathLike[str]) -> bool:
    """Whether a place is meant for fsspec."""
    return isinstance(place, str) and "://" in place


def place_for(snapshot_dir: str | os.PathLike[str] | None) -> Place:
    """The place that a snapshotter's first argument means."""
    if snapshot_dir is None:
        return LocalPlace(Path.cwd() / "data/local/experiment")
    if isinstance(snapshot_dir, str) and is_url(snapshot_dir):
        return RemotePlace(snapshot_dir)
    return LocalPlace(Path(snapshot_dir))


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
