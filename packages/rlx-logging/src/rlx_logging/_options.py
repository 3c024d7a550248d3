"""The keyword arguments that every logger of a run takes; `RunLogger` describes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from rlx_logging._processors.chain import Processor

SaveInterval: TypeAlias = int | Literal["auto"] | None


class FailureOptions(TypedDict, total=False):
    """What a logger does for safety and when it fails, and with rows before they are written."""

    durability: Literal["fsync", "flush"]
    on_failure: Literal["warn", "raise"]
    processors: Sequence[Processor]


class LoggerOptions(FailureOptions, total=False):
    """All options passed on to `RunLogger`."""

    train_interval: int
    test_interval: int
    update_interval: int
    info_interval: int
    training_interval: int | None
    save_interval: SaveInterval
    exclude_arrays: bool
