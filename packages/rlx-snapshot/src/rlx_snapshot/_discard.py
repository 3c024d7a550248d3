"""Going back: later snapshots are put away, not removed."""

import os
from pathlib import Path
from typing import Final

from rlx_snapshot import _platform
from rlx_snapshot._atomic import sync_directory
from rlx_snapshot._container import iteration_in
from rlx_snapshot._files import latest_path, numbered_iterations
from rlx_snapshot._modes import numbered

DISCARDED: Final = "discarded"


def discard_after(directory: Path, itr: int) -> bool:
    """Move the snapshots of iterations after `itr` to a new folder below ``discarded/``; return whether there are any.

    The newest goes first: whenever this is cut short, what is left is a run that was
    stopped at some earlier iteration. A file whose iteration is unknown stays.
    """
    later = [(held, directory / numbered(held)) for held in numbered_iterations(directory)]
    latest = latest_path(directory)
    inside = None if latest is None else iteration_in(latest)
    if latest is not None and inside is not None:
        later.append((inside, latest))
    later = sorted(((held, path) for held, path in later if held > itr), reverse=True)
    if not later:
        return False
    attic = _new_folder(directory / DISCARDED)
    for _, path in later:
        os.replace(path, attic / path.name)
    if not _platform.WINDOWS:  # Windows cannot open a directory
        sync_directory(attic)
        sync_directory(directory)
    return True


def _new_folder(root: Path) -> Path:
    number = 1
    while True:
        folder = root / str(number)
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
