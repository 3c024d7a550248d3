"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader sees the old content or the new, never half of one."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def create_once(path: Path, data: bytes) -> None:
    """Make `path` with `data` in it from the first moment, unless it is there already."""
    if path.exists():
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        _publish_once(temporary, path)
    except FileExistsError:
        pass  # another process was quicker
    finally:
        Path(temporary).unlink(missing_ok=True)


def _publish_once(temporary: str, path: Path) -> None:
    """Give a file its name; FileExistsError if there is one of that name."""
    try:
        (os.link if os.name == "posix" else os.rename)(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as those of many clouds
        with path.open("xb") as file:
            file.write(Path(temporary).read_bytes())
