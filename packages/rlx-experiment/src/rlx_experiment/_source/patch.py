"""In what the code of two runs differs, uncommitted changes included."""

import tempfile
from pathlib import Path

from rlx_experiment._source.files import ARCHIVE_FILE
from rlx_experiment._source.rebuild import extract_archive
from rlx_experiment._source.repository import difference


def source_patch(old: Path, new: Path) -> bytes:
    """Return the patch from the code of the run `old` to that of the run `new`; empty if they are the same.

    Raises:
        FileNotFoundError: One of them kept no source.
        RepositoryError: git cannot be run.
    """
    for run in (old, new):
        if not (run / ARCHIVE_FILE).exists():
            raise FileNotFoundError(f"{run} has no {ARCHIVE_FILE}, so its code cannot be compared")
    with tempfile.TemporaryDirectory(prefix="rlx-diff-") as temporary:
        for run, name in ((old, "a"), (new, "b")):  # the names that patches use
            extract_archive(run / ARCHIVE_FILE, Path(temporary, name))
        return difference(Path(temporary), "a", "b")
