"""Checkpoints in a folder, and which of them stay."""

import math
import operator
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rlx_persistence._errors import DamagedFileError
from rlx_persistence._files import read_info
from rlx_persistence._record import PolicyInfo
from rlx_persistence._sidecar import sidecar_path


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint file.

    Args:
        path: The file.
        epoch: Epoch in its name.
        info: Its record; None for a file of another program.
    """

    path: str
    epoch: int
    info: PolicyInfo | None

    @property
    def score(self) -> float | None:
        """Score recorded in the file; None where there is none, or it is not a number."""
        score = None if self.info is None else self.info.score
        return None if score is None or math.isnan(score) else score


class Keeper(Protocol):
    """Says which checkpoints stay."""

    def keep(self, checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
        """Return those of `checkpoints`, given in order of their epochs, that stay."""
        ...


@dataclass(frozen=True)
class KeepLast:
    """Keeps the `k` checkpoints of the latest epochs."""

    k: int

    def __post_init__(self) -> None:
        _refuse_non_positive(self.k)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
        """Return the last `k`."""
        return checkpoints[-self.k :]


@dataclass(frozen=True)
class KeepBest:
    """Keeps the `k` checkpoints of the best scores; of equal ones the later.

    Those without a score rank below all others.

    Args:
        k: How many.
        largest: Whether the largest scores are the best, or the smallest.
    """

    k: int
    largest: bool = True

    def __post_init__(self) -> None:
        _refuse_non_positive(self.k)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
        """Return the best `k`."""
        return sorted(checkpoints, key=self._rank)[-self.k :]

    def _rank(self, checkpoint: Checkpoint) -> tuple[bool, float, int]:
        score = checkpoint.score
        signed = 0.0 if score is None else score if self.largest else -score
        return score is not None, signed, checkpoint.epoch


@dataclass(frozen=True, init=False)
class KeepAny:
    """Keeps what any of several keepers keeps, e.g. ``KeepAny(KeepBest(3), KeepLast(1))``."""

    keepers: tuple[Keeper, ...]

    def __init__(self, *keepers: Keeper) -> None:
        if not keepers:
            raise ValueError("KeepAny() keeps nothing: give it at least one keeper")
        object.__setattr__(self, "keepers", keepers)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> Iterable[Checkpoint]:
        """Return the union."""
        kept = {each.path: each for keeper in self.keepers for each in keeper.keep(checkpoints)}
        return kept.values()


def checkpoint_name(filename: str, epoch: int) -> str:
    """Return the name of the checkpoint of `epoch` beside the policy file `filename`."""
    path = Path(filename)
    return path.with_stem(f"{path.stem}_epoch_{epoch}").name


def find_checkpoints(folder: str | os.PathLike[str], filename: str) -> list[Checkpoint]:
    """Return the checkpoints beside the policy file `filename`, in order of their epochs."""
    path = Path(filename)
    pattern = re.compile(re.escape(path.stem) + r"_epoch_(-?\d+)" + re.escape(path.suffix))
    if not Path(folder).is_dir():
        return []
    found = [
        (int(match[1]), file) for file in Path(folder).iterdir() if (match := pattern.fullmatch(file.name))
    ]
    return [Checkpoint(str(file), epoch, _info_of(file)) for epoch, file in sorted(found)]


def prune(checkpoints: Sequence[Checkpoint], keeper: Keeper, newest: str) -> None:
    """Remove the checkpoints that `keeper` lets go, but for the file `newest`."""
    kept = {checkpoint.path for checkpoint in keeper.keep(checkpoints)} | {newest}
    for checkpoint in checkpoints:
        if checkpoint.path not in kept:
            Path(checkpoint.path).unlink(missing_ok=True)
            sidecar_path(checkpoint.path).unlink(missing_ok=True)


def _info_of(file: Path) -> PolicyInfo | None:
    try:
        return read_info(file)
    except DamagedFileError:
        return None  # it is listed; restoring it tells what is wrong


def _refuse_non_positive(k: int) -> None:
    try:
        number = operator.index(k)
    except TypeError:
        raise TypeError(f"k is {k!r}; it must be a whole number") from None
    if number < 1:
        raise ValueError(f"k is {k}; it must be at least 1")
