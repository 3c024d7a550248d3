"""Replace one file as a whole: a reader sees the old content or the new, never a mixture."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from rlx_snapshot import _platform
from rlx_snapshot._storage.temporary import temporary_beside


def replace_file(target: Path, write: Callable[[IO[bytes]], object], *, durable: bool) -> None:
    """Let `write` fill a temporary file, then rename it to `target`.

    With `durable` the content and the name are on the disk when this returns:
    the file is fsynced before the rename and its directory after it.
    """
    with temporary_beside(target) as (path, file):
        write(file)
        if durable:
            os.fsync(file.fileno())
        if _platform.WINDOWS:  # there an open file cannot be renamed
            file.close()
        path.replace(target)
    if durable and not _platform.WINDOWS:  # Windows cannot open a directory
        sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
