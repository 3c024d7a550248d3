"""What no run needs any more: archives without a run, and folders whose launch was killed before it began."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from rlx_experiment._lock import FileLock, is_held
from rlx_experiment._source.git import STORE_FOLDER


def find_garbage(root: Path) -> Iterator[Path]:
    """Yield what can go below `root`: archives that no run links to, unfinished folders and files of dead launches."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        for name in list(folders):
            if name == STORE_FOLDER:
                yield from _unused_archives(here / name)
                folders.remove(name)
            elif name.startswith(".") and name.endswith(".tmp"):
                folders.remove(name)
                if not is_held(here / name):
                    yield here / name
        left = [here / name for name in names if name.startswith(".") and name.endswith(".tmp")]
        if left and not is_held(here):  # a live run is just writing them
            yield from left


def _unused_archives(store: Path) -> Iterator[Path]:
    for archive in sorted(store.glob("*.tar.xz")):
        if archive.stat().st_nlink == 1:
            yield archive
            yield archive.with_name(archive.name.replace(".tar.xz", ".json"))


def remove(paths: list[Path]) -> int:
    """Remove `paths`, but for archives that a run has linked to meanwhile; return the bytes that this frees."""
    freed = 0
    for path in paths:
        if path.is_dir():
            freed += sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            shutil.rmtree(path)
            continue
        if path.parent.name == STORE_FOLDER:
            with FileLock(path.parent / "lock"):
                freed += _remove_from_store(path)
        elif path.exists():
            freed += path.stat().st_size
            path.unlink()
    return freed


def _remove_from_store(path: Path) -> int:
    if (
        not path.exists()
        or path.stat().st_nlink > 1
        or (path.suffix == ".json" and path.with_suffix(".tar.xz").exists())
    ):
        return 0
    size = path.stat().st_size
    path.unlink()
    return size
