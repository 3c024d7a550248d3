"""Runs removed, or moved to an archive: never one that lives, and nothing outside of its folder."""

import errno
import os
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rlx_experiment._lock import LOCK_FILE, RunLock, is_held
from rlx_experiment._runs.index import RunSummary

if TYPE_CHECKING:
    from collections.abc import Generator


def why_it_stays(run: RunSummary) -> str:
    """Return why a run must not be removed; empty if it may be."""
    if run.path.is_symlink():
        return "its folder is a link"
    for folder, folders, names in os.walk(run.folder):
        folders[:] = [name for name in folders if not Path(folder, name).is_symlink()]
        if LOCK_FILE not in names:
            continue
        if Path(folder, LOCK_FILE).is_symlink():
            return f"{LOCK_FILE} in it is a link"
        if is_held(Path(folder)):
            return "it is running" if folder == run.folder else "a run inside of it is running"
    return f"it is running on {run.status.host}" if run.state in ("starting", "running") else ""


def size_of(folder: Path) -> int:
    """Return the bytes of the files in `folder`; links count as links."""
    return sum(
        os.lstat(os.path.join(below, name)).st_size  # noqa: PTH118 - of many files a Path each takes long
        for below, _, names in os.walk(folder)
        for name in names
    )


def remove_run(run: RunSummary) -> None:
    """Remove the folder of a run. It vanishes whole, by one rename, before its files go.

    Raises:
        RunLiveError: It has begun to run again.
    """
    with _locked(run.path):
        doomed = _temporary(run.path)
        run.path.rename(doomed)
    shutil.rmtree(doomed)  # removes links, not what they lead to


def archive_run(run: RunSummary, root: Path, archive: Path) -> Path:
    """Move the folder of a run to where it lies below `root`, but in `archive`; return its new place.

    Raises:
        RunLiveError: It has begun to run again.
    """
    inner = run.path.relative_to(root) if run.path != root else Path(run.path.name)
    target = _free(archive / inner)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(run.path):
        try:
            run.path.rename(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copy_and_remove(run.path, target)
    return target


def _copy_and_remove(folder: Path, target: Path) -> None:
    """Move `folder` to another file system, where it appears whole."""
    copy = _temporary(target)
    try:
        shutil.copytree(folder, copy, symlinks=True)
        copy.rename(target)
    except BaseException:
        shutil.rmtree(copy, ignore_errors=True)
        raise
    shutil.rmtree(folder)


@contextmanager
def _locked(folder: Path) -> "Generator[None]":
    """Hold the lock of a run, if it has one, so that nothing begins in it."""
    close: Callable[[], None] = RunLock(folder).close if (folder / LOCK_FILE).exists() else _nothing
    try:
        if os.name == "nt":  # an open file keeps Windows from renaming its folder
            close()
        yield
    finally:
        close()


def _nothing() -> None:
    """Do nothing: there is no lock."""


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


def _free(wanted: Path) -> Path:
    target, number = wanted, 0
    while os.path.lexists(target):
        number += 1
        target = wanted.with_name(f"{wanted.name}_{number}")
    return target
