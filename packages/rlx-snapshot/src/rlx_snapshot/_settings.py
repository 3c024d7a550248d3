"""The settings of a snapshotter, checked when they are given."""

import errno
import operator
import os
from pathlib import Path
from typing import Final, Literal, NamedTuple

from rlx_snapshot._modes import FILES_FOR_MODE

Incremental = Literal["auto", "never"]
Durability = Literal["fsync", "rename"]
Verification = Literal["full", "index"]
SigningKey = bytes | str | os.PathLike[str]

KEY_FILE_VARIABLE: Final = "RLX_SNAPSHOT_KEY_FILE"


class Settings(NamedTuple):
    """How snapshots are written."""

    mode: str
    gap: int
    incremental: Incremental
    durability: Durability
    keep: int | None
    key: bytes | None

    @property
    def durable(self) -> bool:
        """Whether a save must survive a power cut."""
        return self.durability == "fsync"

    def checked(self) -> "Settings":
        """These settings; ValueError names the first one that makes no sense."""
        _refuse_unless_one_of("snapshot_mode", self.mode, list(FILES_FOR_MODE))
        _refuse_unless_one_of("incremental", self.incremental, ["auto", "never"])
        _refuse_unless_one_of("durability", self.durability, ["fsync", "rename"])
        if whole_number("snapshot_gap", self.gap) < 1:
            raise ValueError(f"snapshot_gap is {self.gap}; it must be at least 1")
        if self.keep is not None and whole_number("keep", self.keep) < 1:
            raise ValueError(f"keep is {self.keep}; it must be at least 1, or None to keep every snapshot")
        return self


def whole_number(name: str, value: int) -> int:
    """Return `value` as an int; TypeError with its name if it is no whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a whole number") from None


def path_of(name: str, value: str | os.PathLike[str]) -> Path:
    """Return `value` as a path; TypeError with its name if it is none."""
    try:
        return Path(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; it must be a path") from None


def check_verification(verify: str) -> None:
    """Refuse a way of verification that there is not."""
    _refuse_unless_one_of("verify", verify, ["full", "index"])


def key_from(given: SigningKey | None) -> bytes | None:
    """The signing key: itself, read from the file that is given, or from the one the environment names.

    Raises:
        ValueError: If the key is empty.
        OSError: If its file cannot be read.
    """
    source = given if given is not None else os.environ.get(KEY_FILE_VARIABLE)
    if source is None:
        return None
    key = source if isinstance(source, bytes) else _key_in(Path(source))
    if not key:
        raise ValueError("the signing key is empty: give it at least 16 random bytes")
    return key


def _key_in(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            errno.ENOENT,
            "no such key file; a text names the file of a signing key, the key itself is bytes",
            str(file),
        ) from None


def _refuse_unless_one_of(name: str, value: str, known: list[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(known)}")
