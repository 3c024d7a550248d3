"""``launch_archive.tar.xz``: the launcher's repository as it was, in a form that plain ``tar`` reads."""

import os
import stat
import tarfile
import warnings
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from rlx_experiment import _git
from rlx_experiment._lock import LOCK_FILE
from rlx_experiment._secrets import is_secret_file

ARCHIVE_FILE: Final = "launch_archive.tar.xz"
LARGE: Final = 8 * 2**20
"""Bytes from which a file stays out of archives and a repository earns a warning."""


def make_launcher_archive(*, git_root_path: str, log_dir: str) -> None:
    """Save the launcher's repository as ``launch_archive.tar.xz`` in `log_dir`.

    Taken are tracked and untracked files, not ignored ones, each below 8 MiB; links are kept as links, files of
    submodules are taken one by one, run folders and files that look like credentials stay out.

    Args:
        git_root_path: Absolute path of the working tree.
        log_dir: Folder for the archive.
    """
    root, target = Path(git_root_path), Path(log_dir) / ARCHIVE_FILE
    names, total = select_files(root, _git.list_files(root))
    if total >= LARGE:
        warnings.warn(
            f"archiving the launch repository {root} of {total / 2**20:.0f} MiB; this may be slow. "
            "Set archive_launch_repo=False in wrap_experiment to leave it out.",
            stacklevel=2,
        )
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with tarfile.open(temporary, "w:xz", preset=1) as archive:
            for name in names:
                archive.add(root / name, name, recursive=False)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def select_files(root: Path, names: Sequence[str]) -> tuple[list[str], int]:
    """Return those of `names` that belong into an archive, and the bytes of all of them before the choice by size."""
    runs = [name.removesuffix(LOCK_FILE) for name in names if PurePosixPath(name).name == LOCK_FILE]
    chosen: list[str] = []
    total = 0
    for name in names:
        if is_secret_file(name) or any(name.startswith(run) for run in runs):
            continue
        try:
            status = (root / name).lstat()
        except FileNotFoundError:
            continue
        if stat.S_ISLNK(status.st_mode) or stat.S_ISREG(status.st_mode):
            total += status.st_size
            if status.st_size < LARGE:
                chosen.append(name)
    return chosen, total
