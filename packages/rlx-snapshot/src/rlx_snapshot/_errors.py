"""What can go wrong with a snapshot, each error a kind of one that callers already catch.

```
Exception
├── NotAFileError
├── OSError ─ FileNotFoundError ── SnapshotNotFoundError
└── pickle.PickleError
    ├── PicklingError ── UnpicklableStateError (a TypeError, too)
    └── UnpicklingError
        ├── DamagedSnapshotError
        ├── SnapshotVersionError
        └── UntrustedSnapshotError
UserWarning
├── SnapshotFallbackWarning
└── StoreOutageWarning
```
"""

import pickle
from collections.abc import Sequence
from pathlib import Path


class NotAFileError(Exception):
    """A snapshot's name is taken by something that is not a regular file."""

    def __init__(self, path: str | Path, kind: str) -> None:
        super().__init__(f"{path} is a {kind}, not a snapshot file: move it away or load another iteration")
        self.path = str(path)
        self.kind = kind

    def __reduce__(self) -> tuple[type["NotAFileError"], tuple[str, str]]:
        return type(self), (self.path, self.kind)


class SnapshotNotFoundError(FileNotFoundError):
    """No snapshot of the wanted iteration; `itr`, `directory`, `available` and `reason` are attributes."""

    def __init__(self, itr: int | str, directory: str, available: Sequence[str], reason: str = "") -> None:
        super().__init__(_missing_message(itr, directory, available, reason))
        self.itr = itr
        self.directory = directory
        self.available = list(available)
        self.reason = reason

    def __reduce__(self) -> tuple[type["SnapshotNotFoundError"], tuple[int | str, str, list[str], str]]:
        return type(self), (self.itr, self.directory, self.available, self.reason)


class UnpicklableStateError(pickle.PicklingError, TypeError):
    """Something in a state cannot be saved; `path`, as from ``state``, `problem` and `way_out` are attributes."""

    def __init__(self, path: str, problem: str, way_out: str | None = None) -> None:
        super().__init__(f"{path} cannot be saved: {problem}." + (f" {way_out}." if way_out else ""))
        self.path = path
        self.problem = problem
        self.way_out = way_out

    def __reduce__(self) -> tuple[type["UnpicklableStateError"], tuple[str, str, str | None]]:
        return type(self), (self.path, self.problem, self.way_out)


class DamagedSnapshotError(pickle.UnpicklingError):
    """The bytes of a snapshot are not the bytes that were saved; `path` and `problem` are attributes."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path} is damaged: {problem}. Load an older iteration or restore the file.")
        self.path = str(path)
        self.problem = problem

    def __reduce__(self) -> tuple[type["DamagedSnapshotError"], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class SnapshotVersionError(pickle.UnpicklingError):
    """A later version of this package wrote the file; `path` and `version` are attributes."""

    def __init__(self, path: str | Path, version: int, known: int) -> None:
        super().__init__(
            f"{path} has format {version}, this rlx-snapshot reads up to {known}: upgrade rlx-snapshot"
        )
        self.path = str(path)
        self.version = version
        self.known = known

    def __reduce__(self) -> tuple[type["SnapshotVersionError"], tuple[str, int, int]]:
        return type(self), (self.path, self.version, self.known)


class UntrustedSnapshotError(pickle.UnpicklingError):
    """A snapshot was refused before anything in it could run; `path` and `reason` are attributes."""

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"{path} is refused: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["UntrustedSnapshotError"], tuple[str, str]]:
        return type(self), (self.path, self.reason)


class SnapshotFallbackWarning(UserWarning):
    """`load(..., 'last')` passed over a damaged newest snapshot and took an older one."""


class StoreOutageWarning(UserWarning):
    """The store of a URL did not answer; what was wanted of it is tried again."""


def _missing_message(itr: int | str, directory: str, available: Sequence[str], reason: str) -> str:
    if not available:
        reason = reason or "nothing was saved there, or another directory was meant"
        return f"no snapshot in {directory}: {reason}"
    held = ", ".join(available)
    return f"no snapshot of iteration {itr!r} in {directory} (it has {held}): use one of these, 'first' or 'last'"
