"""Snapshots at a URL that fsspec understands."""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

from rlx_snapshot._errors import DamagedSnapshotError, SnapshotNotFoundError
from rlx_snapshot._format.layout import FOOTER_BYTES, iteration_in_footer
from rlx_snapshot._modes import DISCARDED, LATEST, iteration_of, numbered
from rlx_snapshot._storage.remote_folder import RemoteFolder


class RemoteStorage:
    """A URL. Files are written to a temporary directory and uploaded."""

    def __init__(self, url: str) -> None:
        self.name = url
        self._folder = RemoteFolder(url)
        self._folder.make()
        import tempfile

        self.directory = Path(tempfile.mkdtemp(prefix="rlx-snapshot-"))
        weakref.finalize(self, _remove_own, self.directory, os.getpid())

    def publish(self, name: str) -> None:
        """Upload a file; readers see the old one or the new one."""
        self._folder.upload(self.directory / name, name)
        if name != LATEST:
            (self.directory / name).unlink()

    def iterations(self) -> list[int]:
        """The numbered iterations that were uploaded."""
        return _numbered(self._folder.names())

    def latest_iteration(self) -> int | None:
        """The iteration that the uploaded replaced file says it holds."""
        footer = self._folder.tail(LATEST, FOOTER_BYTES)
        return None if footer is None else iteration_in_footer(footer)

    def remove(self, itr: int) -> None:
        """Remove an uploaded file."""
        self._folder.remove(numbered(itr))

    def put_away(self, names: Sequence[str]) -> None:
        """Move uploaded files, in this order, to a new folder below ``discarded/``."""
        taken = {int(name) for name in self._folder.names(DISCARDED) if name.isdecimal()}
        self._folder.move(list(names), f"{DISCARDED}/{max(taken, default=0) + 1}")


class Downloads:
    """Brings the files that an iteration may mean from a URL into a directory, a few at a time."""

    def __init__(self, url: str, directory: Path) -> None:
        self._url = url
        self._folder = RemoteFolder(url)
        self._directory = directory
        self._names = self._folder.names()
        self._older = _numbered(self._names)

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
        self._folder.download(name, self._directory / name)


def _numbered(names: Sequence[str]) -> list[int]:
    """Return the iterations of numbered files, ascending."""
    found = (iteration_of(name) for name in names)
    return sorted(itr for itr in found if itr is not None)


def _remove_own(directory: Path, owner: int) -> None:
    """Remove a temporary directory, but not at the end of a forked child, which did not make it."""
    import shutil

    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)
