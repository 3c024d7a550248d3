"""Loading: verify, unpickle, and fall back from a damaged newest snapshot."""

import os
import warnings
from pathlib import Path
from typing import Any

from rlx_snapshot._container import Container, check_buffers, open_container, unpickled
from rlx_snapshot._errors import DamagedSnapshotError, SnapshotFallbackWarning
from rlx_snapshot._places import is_url
from rlx_snapshot._selection import candidates


def load_snapshot(
    place: str | os.PathLike[str], itr: int | str, key: bytes | None, *, full: bool
) -> tuple[Any, Container]:
    """The state of `itr`, and the file it came from."""
    if isinstance(place, str) and is_url(place):
        return _load_remote(place, itr, key, full=full)
    return _load_local(Path(place), itr, key, full=full)


def _load_remote(url: str, itr: int | str, key: bytes | None, *, full: bool) -> tuple[Any, Container]:
    import tempfile

    from rlx_snapshot._remote import Downloads

    with tempfile.TemporaryDirectory(prefix="rlx-snapshot-", ignore_cleanup_errors=True) as directory:
        downloads = Downloads(url, Path(directory))
        downloads.fetch(itr)
        while True:
            try:
                return _load_local(Path(directory), itr, key, full=full)
            except DamagedSnapshotError as damage:
                if itr != "last":
                    raise
                downloads.fetch_older(damage)


def _load_local(directory: Path, itr: int | str, key: bytes | None, *, full: bool) -> tuple[Any, Container]:
    damages: list[DamagedSnapshotError] = []
    for path in candidates(directory, itr):
        try:
            loaded = _load(path, key, full=full)
        except DamagedSnapshotError as error:
            damages.append(error)
        else:
            _warn_of(damages, path)
            return loaded
    raise damages[0]


def _load(path: Path, key: bytes | None, *, full: bool) -> tuple[Any, Container]:
    container = open_container(path, key)
    if full:
        check_buffers(container)
    return unpickled(container), container


def _warn_of(damages: list[DamagedSnapshotError], taken: Path) -> None:
    if damages:
        passed_over = "; ".join(f"{damage.path}: {damage.problem}" for damage in damages)
        warnings.warn(
            f"loaded {taken}, as newer snapshots are damaged ({passed_over})",
            SnapshotFallbackWarning,
            stacklevel=5,
        )
