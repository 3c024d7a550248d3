"""Run folders: born whole, never shared."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rlx_experiment._checks import check_path
from rlx_experiment._lock import RunLock

_URL: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]+:/"
)  # one letter is a drive of Windows; a Path has one slash


def local_path(log_dir: str | Path) -> Path:
    """Return `log_dir` as an absolute path.

    Raises:
        TypeError: If it is no path.
        ValueError: If it is a URL: locks, records and logs of a run need a folder of this machine.
    """
    check_path("log_dir", log_dir)
    if _URL.match(str(log_dir)):
        raise ValueError(
            f"log_dir is {str(log_dir)!r}; it must be a folder of this machine. Snapshots alone may go to a URL: "
            f"give LocalRunner a SnapshotConfig({str(log_dir)!r}, 'last', 1)."
        )
    return Path(log_dir).absolute()


def make_run_dir(wanted: Path, fill: Callable[[Path], None]) -> tuple[Path, RunLock]:
    """Make the folder `wanted`, or ``wanted_1``, ``wanted_2`` … where that is taken, and lock it.

    The folder is prepared under a temporary name (locked, then `fill` writes its first files) and appears by one
    rename. So it never exists without what `fill` wrote, and no two processes get the same one.
    """
    make_folder(wanted.parent)
    if os.name == "nt":  # an open file keeps Windows from renaming its folder
        folder = _claim(wanted, lambda path: path.mkdir())
        return folder, _prepare(folder, fill)
    staging = wanted.with_name(f".{wanted.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    staging.mkdir()
    lock = _prepare(staging, fill)
    try:
        return _claim(wanted, lambda path: _rename_to_new(staging, path)), lock
    except BaseException:
        lock.close()
        remove_folder(staging)
        raise


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, where they are missing.

    Raises:
        NotADirectoryError: A file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(
            f"{folder} cannot be a folder of runs: {error.filename} is a file; choose another log_dir"
        ) from error


def _prepare(folder: Path, fill: Callable[[Path], None]) -> RunLock:
    lock = RunLock(folder)
    try:
        fill(folder)
    except BaseException:
        lock.close()
        remove_folder(folder)
        raise
    return lock


def _claim(wanted: Path, take: Callable[[Path], None]) -> Path:
    """Call `take` on `wanted` and its numbered successors until one is free; return that one."""
    folder, number = wanted, 0
    while True:
        try:
            take(folder)
        except FileExistsError:
            number = number + 1 if number else _highest_number(wanted) + 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        else:
            return folder


def _rename_to_new(source: Path, target: Path) -> None:
    if os.path.lexists(target):  # rename would replace an empty folder
        raise FileExistsError(target)
    try:
        source.rename(target)
    except OSError as error:
        if os.path.lexists(target):
            raise FileExistsError(target) from error
        raise


def remove_folder(folder: Path) -> None:
    """Remove `folder` as far as possible; a launch that failed has better errors to tell."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def numbered_dirs(wanted: Path) -> list[Path]:
    """Return the folders that `make_run_dir` made for `wanted`, newest (highest number) first."""
    return [
        wanted.with_name(f"{wanted.name}_{number}") if number else wanted
        for number in sorted(_numbers(wanted), reverse=True)
    ]


def _highest_number(wanted: Path) -> int:
    return max(_numbers(wanted), default=0)


def _numbers(wanted: Path) -> Iterator[int]:
    """Yield the numbers that are taken, 0 for `wanted` itself."""
    try:
        names = os.listdir(wanted.parent)  # noqa: PTH208 - of many thousand runs a Path each takes long
    except FileNotFoundError:
        return
    start = f"{wanted.name}_"
    for name in names:
        number = name[len(start) :]
        if name == wanted.name:
            yield 0
        elif name.startswith(start) and number.isdecimal() and number.isascii() and number[0] != "0":
            yield int(number)
