"""Which file an iteration, 'first' or 'last' means, by number, and what to fall back to."""

import operator
import os
from pathlib import Path
from typing import SupportsIndex

from rlx_snapshot._errors import SnapshotNotFoundError
from rlx_snapshot._files import latest_path, numbered_iterations
from rlx_snapshot._format.container import iteration_in
from rlx_snapshot._modes import numbered


def selection(itr: object) -> int | str:
    """What may be asked for: 'first', 'last', or a number, of which the digits will do; anything else is a ValueError."""
    if isinstance(itr, str):
        if itr in {"first", "last"}:
            return itr
        if itr.isascii() and itr.isdigit():
            return int(itr)
    elif isinstance(itr, SupportsIndex):
        return operator.index(itr)
    raise ValueError(f"itr is {itr!r}; it must be an iteration number, 'first' or 'last'")


def candidates(directory: Path, itr: int | str) -> list[Path]:
    """The files to try for a `selection`, the wanted one first; more than one only for 'last'.

    Raises:
        SnapshotNotFoundError: If there is none.
    """
    found = _candidates(directory, itr)
    if not found:
        raise SnapshotNotFoundError(itr, str(directory), _held(directory), _obstacle(directory))
    return found


def _obstacle(directory: Path) -> str:
    """Why `directory` cannot hold a snapshot, in words; empty if it can."""
    if directory.is_file():
        return f"it is a file; pass its directory, {directory.parent}, and an iteration"
    return "" if directory.exists() else "there is no such directory"


def _candidates(directory: Path, itr: int | str) -> list[Path]:
    if isinstance(itr, int):
        return _of_iteration(directory, itr)
    found = _newest_first(directory)
    return found if itr == "last" else found[-1:]


def _of_iteration(directory: Path, itr: int) -> list[Path]:
    path = directory / numbered(itr)
    if os.path.lexists(path):
        return [path]
    latest = latest_path(directory)
    return [latest] if latest is not None and iteration_in(latest) == itr else []


def _newest_first(directory: Path) -> list[Path]:
    """All snapshots by iteration; the replaced file goes by the iteration inside, and first if that is unknown."""
    found: list[tuple[float, Path]] = [
        (itr, directory / numbered(itr)) for itr in numbered_iterations(directory)
    ]
    latest = latest_path(directory)
    if latest is not None:
        inside = iteration_in(latest)
        found.append((float("inf") if inside is None else inside + 0.5, latest))
    return [path for _, path in sorted(found, reverse=True)]


def _held(directory: Path) -> list[str]:
    latest = latest_path(directory)
    held = [str(itr) for itr in numbered_iterations(directory)]
    return held if latest is None else [*held, latest.name]
