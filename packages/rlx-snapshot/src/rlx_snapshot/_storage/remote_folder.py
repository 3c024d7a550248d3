"""One folder at a URL, through the interface that all file systems of fsspec have in common."""

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from rlx_snapshot._storage.multipart import MultipartUploads
from rlx_snapshot._storage.outages import outlast

T = TypeVar("T")

_S3: Final = frozenset({"s3", "s3a"})
_BUCKETS: Final = _S3 | frozenset({"gs", "gcs", "az", "abfs", "abfss"})
"""Object stores: they have buckets and no folders."""
_WHOLE_OR_NOTHING: Final = _BUCKETS | {"memory"}
"""What is uploaded appears complete, so no temporary name is needed."""


class RemoteFolder:
    """A folder of files that other processes may change at any time; an outage of seconds is waited for.

    Raises:
        ModuleNotFoundError: If fsspec, or the library for this kind of URL, is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._files, self._root = _open(url)
        self._protocols = _protocols(self._files)
        self._multipart = MultipartUploads()

    def make(self) -> None:
        """Make the folder; a bucket is not made, since a misspelt name would make another one.

        Raises:
            FileNotFoundError: If there is no such bucket.
        """
        if not self._protocols & _BUCKETS:
            self._ask("making a folder", lambda: self._files.makedirs(self._root, exist_ok=True))
        elif not self._ask("looking for the bucket", self._has_bucket):
            raise FileNotFoundError(
                f"there is no bucket {self._bucket!r} for the snapshots at {self._url}; "
                f"correct the name or make the bucket first"
            )

    def names(self, below: str = "") -> list[str]:
        """Return the names in the folder, or in one below it; none where there is no folder."""
        return self._ask("listing files", lambda: self._names(self._path(below)))

    def tail(self, name: str, size: int) -> bytes | None:
        """Return the last bytes of a file, None where there is none."""
        return self._ask(f"reading {name}", lambda: self._tail(self._path(name), size))

    def upload(self, source: Path, name: str) -> None:
        """Bring a file here; readers see the one before or the whole new one."""
        self._ask(f"uploading {name}", lambda: self._upload(source, self._path(name)))

    def download(self, name: str, target: Path) -> None:
        """Copy a file to this machine."""
        self._ask(f"downloading {name}", lambda: self._files.get_file(self._path(name), str(target)))

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is no error."""
        self._ask(f"removing {name}", lambda: self._remove(self._path(name)))

    def move(self, names: list[str], below: str) -> None:
        """Move files, in this order, to a folder below this one, which is made."""
        if not self._protocols & _BUCKETS:
            self._ask("making a folder", lambda: self._files.makedirs(self._path(below), exist_ok=True))
        for name in names:
            self._ask(f"moving {name}", partial(self._move, name, f"{below}/{name}"))

    @property
    def _bucket(self) -> str:
        return self._root.partition("/")[0]

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _ask(self, what: str, action: Callable[[], T]) -> T:
        def fresh() -> T:
            self._files.invalidate_cache()  # what others did since the last look counts
            return action()

        return outlast(f"{what} at {self._url}", fresh, self._reconnect)

    def _reconnect(self) -> None:
        # The cache holds the connection that broke.
        type(self._files).clear_instance_cache()  # pyright: ignore[reportUnknownMemberType]
        self._files, _ = _open(self._url)

    def _has_bucket(self) -> bool:
        try:
            return bool(self._files.exists(self._bucket))
        except PermissionError:  # who may not list buckets may still write into one
            return True

    def _names(self, path: str) -> list[str]:
        try:
            found = self._files.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [name for name in (str(each).rstrip("/").rpartition("/")[2] for each in found) if name]

    def _tail(self, path: str, size: int) -> bytes | None:
        try:
            start = max(0, self._files.size(path) - size)  # counting from the end is not common to all
            return bytes(self._files.cat_file(path, start=start))
        except FileNotFoundError:
            return None

    def _upload(self, source: Path, target: str) -> None:
        if self._protocols & _S3:
            self._multipart.upload(self._files, source, target)
            return
        if self._protocols & _WHOLE_OR_NOTHING:
            self._files.put_file(str(source), target)
            return
        hidden = f"{target}.uploading"
        self._files.put_file(str(source), hidden)
        self._files.mv(hidden, target)

    def _remove(self, path: str) -> None:
        try:
            self._files.rm_file(path)
        except FileNotFoundError:
            return

    def _move(self, name: str, target: str) -> None:
        try:
            self._files.mv(self._path(name), self._path(target))
        except FileNotFoundError:
            if not self._files.exists(self._path(target)):  # an attempt before may have moved it unheard
                raise


def _open(url: str) -> tuple[Any, str]:
    try:
        core: Any = importlib.import_module("fsspec.core")
    except ModuleNotFoundError as error:
        if error.name not in {"fsspec", "fsspec.core"}:
            raise
        msg = f"snapshots at {url} need fsspec, which is not installed: pip install 'rlx-snapshot[fsspec]'"
        raise ModuleNotFoundError(msg, name="fsspec") from error
    files, root = core.url_to_fs(url)
    return files, str(root).rstrip("/")


def _protocols(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
