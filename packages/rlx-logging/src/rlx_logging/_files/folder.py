"""The log files of one run folder: which are ours, where they end, and how they are cut."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

from rlx_logging._errors import ShorterLogWarning
from rlx_logging._files.append import AppendFile
from rlx_logging._files.atomic import sync_folder, write_atomically
from rlx_logging._warn import warn

MANIFEST: Final = "logs.manifest"
DISCARDED: Final = "discarded"
_URL: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]+:/"
)  # one letter is a drive of Windows; a Path has one slash
_TABLE: Final = ".csv"
_END: Final = 1024  # bytes before a position that its checksum is taken of


class LogFolder:
    """Opens log files, remembers them as own, and cuts own files back.

    The manifest is a text file with one name a line that only grows, so that several
    processes may log into one folder. A file that is not in it is never touched.
    Nothing happens on disk before the first file is opened.

    Args:
        path: The folder; made when it is needed.

    Raises:
        TypeError: If `path` is no path.
        ValueError: If it is empty.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = _checked(path)
        self._open: dict[str, AppendFile] = {}

    def open(self, name: str, *, exclusive: bool = False) -> AppendFile:
        """Open an own file for appending; it is in the manifest before it exists."""
        if name not in self._open:
            self.path.mkdir(parents=True, exist_ok=True)
            self.adopt(name)
            self._open[name] = AppendFile(self.path / name, exclusive=exclusive)
        return self._open[name]

    def adopt(self, name: str) -> None:
        """Enter a file into the manifest: from now on it is cut with the others."""
        if name in self._names():
            return
        manifest = AppendFile(self.path / MANIFEST)
        try:
            manifest.append(f"\n{name}\n".encode())  # the first newline ends a line torn by a full disk
            manifest.sync()  # a file that outlives a power cut must be known as own
        finally:
            manifest.close()

    def own_files(self) -> list[str]:
        """Return the names of the own files that exist."""
        return [name for name in self._names() if (self.path / name).is_file()]

    def _names(self) -> list[str]:
        try:
            text = (self.path / MANIFEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return list(dict.fromkeys(line for line in text.splitlines() if line))

    def sync(self) -> None:
        """Make all open files and their names durable."""
        for file in self._open.values():
            file.sync()
        if self._open:
            sync_folder(self.path)

    def positions(self) -> dict[str, int]:
        """Return the length in bytes of every own file; of a table, that of its rows: its header may grow."""
        return {
            name: path.stat().st_size - _header(path)
            for name in self.own_files()
            for path in (self.path / name,)
        }

    def ends(self, positions: Mapping[str, int]) -> dict[str, int]:
        """Return a checksum of what stands before each position: a file written again does not have it."""
        return {
            name: _end(self.path / name, position)
            for name, position in positions.items()
            if (self.path / name).is_file()
        }

    def close(self) -> None:
        """Close all files; `open` opens them again."""
        while self._open:
            self._open.popitem()[1].close()

    def cut(self, positions: Mapping[str, int], ends: Mapping[str, int] | None = None) -> None:
        """Shorten every own file to its position and take away those that have none.

        What is cut off is kept in a new folder under ``discarded/``. Being killed in
        the middle of this does no harm: it is done again by the next call. Warns of files
        that are too short, or that are others than those that `ends` were taken of.
        """
        self.close()
        for name, position in positions.items():
            self._check(name, position, (ends or {}).get(name))
        discarded = _DiscardFolder(self.path)
        for name in self.own_files():
            path = self.path / name
            if name not in positions:
                discarded.move(path)
            elif path.stat().st_size > (end := _header(path) + positions[name]):
                discarded.keep_tail(path, end)
                _truncate(path, end)
        if discarded.used:
            sync_folder(self.path)

    def copy_from(self, source: Path, positions: Mapping[str, int]) -> None:
        """Take over the first bytes of another folder's files, in place of all own ones.

        A file that is missing there is left out: the next `cut` warns of it.
        """
        self.cut({})
        self.path.mkdir(parents=True, exist_ok=True)
        for name, position in positions.items():
            if (source / name).is_file():
                self.adopt(name)
                with (source / name).open("rb") as file:
                    write_atomically(self.path / name, file.read(_header(source / name) + position))

    def _check(self, name: str, position: int, end: int | None) -> None:
        path = self.path / name
        length = path.stat().st_size - _header(path) if path.is_file() else None
        if length is None or length < position:
            has = "is missing" if length is None else f"has {length} bytes"
            problem = f"{has}, but the snapshot was taken when it had {position}"
        elif end is not None and end != _end(path, position):
            problem = f"does not hold what it held when the snapshot was taken, before byte {position}"
        else:
            return
        warn(
            f"the log {path} {problem}: rows that were logged before the snapshot are lost.",
            ShorterLogWarning,
        )


class _DiscardFolder:
    """One new folder under ``discarded/`` for what a cut takes away; made when first used."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / DISCARDED
        self._folder: Path | None = None

    @property
    def used(self) -> bool:
        return self._folder is not None

    def move(self, path: Path) -> None:
        path.replace(self._path_of(path.name))

    def keep_tail(self, path: Path, position: int) -> None:
        with path.open("rb") as source, self._path_of(f"{path.name}.from-{position}").open("wb") as target:
            source.seek(position)
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())

    def _path_of(self, name: str) -> Path:
        if self._folder is None:
            self._folder = self._new_folder()
        return self._folder / name.replace("tfevents", "tf-events")  # TensorBoard must not find it

    def _new_folder(self) -> Path:
        number = 1
        while True:
            folder = self._root / str(number)
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                number += 1
            else:
                return folder


def _checked(path: object) -> Path:
    name: object = os.fspath(cast("os.PathLike[str]", path)) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(f"the folder of a log must be a path; got {path!r}.")
    if not name:
        raise ValueError("the folder of a log must have a name; got ''. The working directory is '.'.")
    if _URL.match(name):
        raise ValueError(f"the folder of a log must be on this machine, not {name!r}; give a local path.")
    return Path(name).absolute()  # where it was meant to be, wherever the program goes


def _header(path: Path) -> int:
    """Return the length of a table's first line, 0 for other files."""
    if path.suffix != _TABLE:
        return 0
    with path.open("rb") as file:
        return len(file.readline())


def _end(path: Path, position: int) -> int:
    with path.open("rb") as file:
        file.seek(_header(path) + max(0, position - _END))
        return zlib.crc32(file.read(min(position, _END)))


def _truncate(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.truncate(position)
        os.fsync(file.fileno())
