"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader sees the old content or the new, never half of one."""
    temporary = _beside(path)
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
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
    temporary = _beside(path)
    try:
        temporary.write_bytes(data)
        _publish_once(temporary, path)
    except FileExistsError:
        pass  # another process was quicker
    finally:
        temporary.unlink(missing_ok=True)


def _publish_once(temporary: Path, path: Path) -> None:
    """Give a file its name; FileExistsError if there is one of that name."""
    try:
        (os.link if os.name == "posix" else os.rename)(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as those of many clouds
        with path.open("xb") as file:
            file.write(temporary.read_bytes())


def _beside(path: Path) -> Path:
    """A new hidden name in the same folder."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
