"""Run folders: born whole, never shared."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from rlx_experiment._lock import RunLock


def make_run_dir(wanted: Path, fill: Callable[[Path], None]) -> tuple[Path, RunLock]:
    """Make the folder `wanted`, or ``wanted_1``, ``wanted_2`` … where that is taken, and lock it.

    The folder is prepared under a temporary name (locked, then `fill` writes its first files) and appears by one
    rename. So it never exists without what `fill` wrote, and no two processes get the same one.
    """
    make_folder(wanted.parent)
    if os.name == "nt":  # an open file keeps Windows from renaming its folder
        folder = _claim(wanted, lambda path: path.mkdir())
        return folder, _prepare(folder, fill)
    nursery = wanted.with_name(f".{wanted.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    nursery.mkdir()
    lock = _prepare(nursery, fill)
    try:
        return _claim(wanted, lambda path: _rename_to_new(nursery, path)), lock
    except BaseException:
        lock.close()
        remove_folder(nursery)
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
    """Return the folders that :func:`make_run_dir` made for `wanted`, newest (highest number) first."""
    pattern = re.compile(re.escape(wanted.name) + r"(?:_([1-9][0-9]*))?")
    try:
        matches = [pattern.fullmatch(entry.name) for entry in os.scandir(wanted.parent)]
    except FileNotFoundError:
        return []
    numbers = sorted((int(match[1] or 0) for match in matches if match), reverse=True)
    return [wanted.with_name(f"{wanted.name}_{number}") if number else wanted for number in numbers]


def _highest_number(wanted: Path) -> int:
    last = next(iter(numbered_dirs(wanted)), wanted)
    return 0 if last == wanted else int(last.name.rpartition("_")[2])
