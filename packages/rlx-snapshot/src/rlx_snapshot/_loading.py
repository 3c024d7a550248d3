"""Loading: verify, unpickle, and fall back from a damaged newest snapshot."""

import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from rlx_snapshot._errors import (
    DamagedSnapshotError,
    SnapshotFallbackWarning,
    SnapshotNotFoundError,
    UntrustedSnapshotError,
)
from rlx_snapshot._format.container import Container, check_buffers, open_container, unpickled
from rlx_snapshot._storage.selection import candidates, selection
from rlx_snapshot._storage.storage import is_url


def load_snapshot(
    place: str | os.PathLike[str], itr: object, key: bytes | None, *, full: bool
) -> tuple[Any, Container]:
    """The state of `itr`, and the file it came from.

    Raises:
        ValueError: If `itr` is neither a whole number (or its digits) nor 'first' nor 'last'.
    """
    wanted = selection(itr)
    if isinstance(place, str) and is_url(place):
        loaded = _load_remote(place, wanted, key, full=full)
    else:
        loaded = _load_local(Path(place), wanted, key, full=full)
    state, container, passed_over = loaded
    if passed_over:
        damages = "; ".join(f"{damage.path}: {damage.problem}" for damage in passed_over)
        message = f"loaded {container.path}, as newer snapshots are damaged ({damages})"
        warnings.warn(message, SnapshotFallbackWarning, stacklevel=3)
    return state, container


_Loaded = tuple[Any, Container, list[DamagedSnapshotError]]
"""A state, its file, and what was wrong with newer ones."""


def _load_remote(url: str, itr: int | str, key: bytes | None, *, full: bool) -> _Loaded:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rlx-snapshot-", ignore_cleanup_errors=True) as directory:
        try:
            state, container, passed_over = _load_downloaded(url, Path(directory), itr, key, full=full)
        except DamagedSnapshotError as damage:
            raise _at(url, damage) from damage
        except UntrustedSnapshotError as refusal:
            raise UntrustedSnapshotError(f"{url}/{Path(refusal.path).name}", refusal.reason) from refusal
    shown = replace(container, path=f"{url}/{Path(container.path).name}")
    return state, shown, [_at(url, damage) for damage in passed_over]


def _load_downloaded(url: str, directory: Path, itr: int | str, key: bytes | None, *, full: bool) -> _Loaded:
    from rlx_snapshot._storage.remote import Downloads

    downloads = Downloads(url, directory)
    downloads.fetch(itr)
    while True:
        try:
            return _load_local(directory, itr, key, full=full)
        except SnapshotNotFoundError:
            raise downloads.missing(itr) from None
        except DamagedSnapshotError as damage:
            if itr != "last":
                raise
            downloads.fetch_older(damage)


def _at(url: str, error: DamagedSnapshotError) -> DamagedSnapshotError:
    """The same error, of the file at the URL instead of its copy here."""
    return DamagedSnapshotError(f"{url}/{Path(error.path).name}", error.problem)


def _load_local(directory: Path, itr: int | str, key: bytes | None, *, full: bool) -> _Loaded:
    damages: list[DamagedSnapshotError] = []
    for path in candidates(directory, itr):
        try:
            return *_load(path, key, full=full), damages
        except DamagedSnapshotError as error:
            damages.append(error)
    raise damages[0]


def _load(path: Path, key: bytes | None, *, full: bool) -> tuple[Any, Container]:
    container = open_container(path, key)
    if full or not container.may_be_checked_later:
        check_buffers(container)
    return unpickled(container), container
