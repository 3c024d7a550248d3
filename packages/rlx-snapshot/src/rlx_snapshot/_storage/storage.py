"""Where snapshots are kept: a directory, or a URL that fsspec understands."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from rlx_snapshot import _platform
from rlx_snapshot._files import latest_path, numbered_iterations
from rlx_snapshot._format.container import iteration_in
from rlx_snapshot._modes import DISCARDED, numbered
from rlx_snapshot._settings import path_of
from rlx_snapshot._storage.atomic import sync_directory

_URL_IN_A_PATH: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/[^/]")  # one letter is a drive of Windows


class Storage(Protocol):
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

    def latest_iteration(self) -> int | None:
        """The iteration in the file that is replaced at each save, None if there is none or it does not say."""
        ...

    def remove(self, itr: int) -> None:
        """Remove a numbered iteration."""
        ...

    def put_away(self, names: Sequence[str]) -> None:
        """Move files, in this order, to a new folder below ``discarded/``."""
        ...


class LocalStorage:
    """A directory of this machine, made if missing."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = str(directory)
        self.directory = directory.absolute()  # where it was meant to be, wherever the program goes

    def publish(self, name: str) -> None:
        """Nothing to do: it was written in place."""

    def iterations(self) -> list[int]:
        """The numbered iterations that have a file."""
        return numbered_iterations(self.directory)

    def latest_iteration(self) -> int | None:
        """The iteration that the replaced file says it holds."""
        latest = latest_path(self.directory)
        return None if latest is None else iteration_in(latest)

    def remove(self, itr: int) -> None:
        """Remove a numbered file."""
        (self.directory / numbered(itr)).unlink(missing_ok=True)

    def put_away(self, names: Sequence[str]) -> None:
        """Move files, in this order, to a new folder below ``discarded/``."""
        discarded = _new_folder(self.directory / DISCARDED)
        for name in names:
            os.replace(self.directory / name, discarded / name)
        if not _platform.WINDOWS:  # Windows cannot open a directory
            for directory in (discarded, discarded.parent, self.directory):  # the new names first
                sync_directory(directory)


def is_url(location: str | os.PathLike[str]) -> bool:
    """Whether a location is meant for fsspec."""
    return isinstance(location, str) and "://" in location


def storage_for(snapshot_dir: str | os.PathLike[str] | None) -> Storage:
    """The storage that a snapshotter's first argument means."""
    if snapshot_dir is None:
        return LocalStorage(Path.cwd() / "data/local/experiment")
    if isinstance(snapshot_dir, str) and is_url(snapshot_dir):
        from rlx_snapshot._storage.remote import RemoteStorage

        return RemoteStorage(snapshot_dir)
    if _URL_IN_A_PATH.match(str(snapshot_dir)):
        raise ValueError(
            f"snapshot_dir is {snapshot_dir!r}; it must be a folder, or a URL as text: a Path takes a slash away."
        )
    return LocalStorage(path_of("the folder of snapshots", snapshot_dir))


def _new_folder(root: Path) -> Path:
    number = 1
    while True:
        folder = root / str(number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
