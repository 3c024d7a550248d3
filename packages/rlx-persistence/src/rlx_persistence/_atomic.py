"""Replace a file so that a kill at any instant leaves the old one or the new one, whole."""

import contextlib
import glob
import os
import secrets
import time
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

LEFTOVER_AGE = 3600.0  # seconds after which a killed writer's temporary file is cleared away


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], *, synced: bool = True) -> Generator[BinaryIO, None, None]:
    """Open a temporary file that becomes `path` when the block ends without an error; on disk, if `synced`."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    for old in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        with contextlib.suppress(
            OSError
        ):  # its writer lives and is done with it just now, or it is another's
            if time.time() - old.stat().st_mtime > LEFTOVER_AGE:
                old.unlink()
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if synced and os.name != "nt":  # Windows cannot open a folder; its rename is on disk without that
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
