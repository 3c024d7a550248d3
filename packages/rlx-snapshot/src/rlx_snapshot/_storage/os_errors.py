"""System errors of a save: which file could not be written, and what helps."""

import contextlib
import errno
from collections.abc import Generator
from pathlib import Path
from typing import Final

_WAYS_OUT: Final = {
    "ENOSPC": "free some space, or keep fewer snapshots with keep= or snapshot_mode='last'",
    "EDQUOT": "free some of your quota, or keep fewer snapshots with keep= or snapshot_mode='last'",
    "EFBIG": "raise the limit on the size of a file (ulimit -f), or save where there is none",
    "EMFILE": "raise the limit on open files (ulimit -n), or close some",
    "EROFS": "give a snapshot_dir that can be written to",
    "EACCES": "give a snapshot_dir that can be written to",
    "ENOENT": "the directory is gone: make it again",
}


@contextlib.contextmanager
def naming_file(target: Path) -> Generator[None, None, None]:
    """Raise every OSError of the body again, of the same class, with the file that was to be saved and a way out."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, _explanation(error), str(target)) from error


def _explanation(error: OSError) -> str:
    way_out = _WAYS_OUT.get(errno.errorcode.get(error.errno or 0, ""))
    what = f"{error.strerror} while saving"
    return f"{what}: {way_out}" if way_out else what
