"""Training logs that lose nothing, double nothing and stay out of the way."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from rlx_logging._base import BaseLogger
from rlx_logging._errors import (
    DamagedLogWarning,
    DroppedRowsWarning,
    GapWarning,
    LoggingWarning,
    MissingBackendError,
    ShorterLogWarning,
)
from rlx_logging._lazy_logger import LazyLogger
from rlx_logging._scopes import DataScope

if TYPE_CHECKING:  # types are never lazy
    from rlx_logging._backend import Backend
    from rlx_logging._console import ConsoleLogger
    from rlx_logging._csv import CsvLogger
    from rlx_logging._fanout import FanoutLogger
    from rlx_logging._folder import LogFolder
    from rlx_logging._journal import JournalLogger
    from rlx_logging._jsonl import JsonLinesLogger
    from rlx_logging._key_filter import KeyFilterLogger
    from rlx_logging._media import Image, Media, Text, Video
    from rlx_logging._metrics import Metrics, Series
    from rlx_logging._prefix import PrefixLogger
    from rlx_logging._rank_zero import rank_zero
    from rlx_logging._read import read_metrics
    from rlx_logging._registry import make_logger
    from rlx_logging._rows import Layout, Row
    from rlx_logging._run_logger import RunLogger
    from rlx_logging._system import SystemMetricsLogger
    from rlx_logging._tensorboard import TensorboardLogger
    from rlx_logging._time_gate import TimeGateLogger
    from rlx_logging._wandb import WandbLogger
    from rlx_logging._wrapper import LoggerWrapper

__all__ = [
    "Backend",
    "BaseLogger",
    "ConsoleLogger",
    "CsvLogger",
    "DamagedLogWarning",
    "DataScope",
    "DroppedRowsWarning",
    "FanoutLogger",
    "GapWarning",
    "Image",
    "JournalLogger",
    "JsonLinesLogger",
    "KeyFilterLogger",
    "Layout",
    "LazyLogger",
    "LogFolder",
    "LoggerWrapper",
    "LoggingWarning",
    "Media",
    "Metrics",
    "MissingBackendError",
    "PrefixLogger",
    "Row",
    "RunLogger",
    "Series",
    "ShorterLogWarning",
    "SystemMetricsLogger",
    "TensorboardLogger",
    "Text",
    "TimeGateLogger",
    "Video",
    "WandbLogger",
    "make_logger",
    "rank_zero",
    "read_metrics",
]

_LAZY: Final = {
    "Backend": "_backend",
    "ConsoleLogger": "_console",
    "CsvLogger": "_csv",
    "FanoutLogger": "_fanout",
    "Image": "_media",
    "JournalLogger": "_journal",
    "JsonLinesLogger": "_jsonl",
    "KeyFilterLogger": "_key_filter",
    "Layout": "_rows",
    "LogFolder": "_folder",
    "LoggerWrapper": "_wrapper",
    "Media": "_media",
    "Metrics": "_metrics",
    "PrefixLogger": "_prefix",
    "Row": "_rows",
    "RunLogger": "_run_logger",
    "Series": "_metrics",
    "SystemMetricsLogger": "_system",
    "TensorboardLogger": "_tensorboard",
    "Text": "_media",
    "TimeGateLogger": "_time_gate",
    "Video": "_media",
    "WandbLogger": "_wandb",
    "make_logger": "_registry",
    "rank_zero": "_rank_zero",
    "read_metrics": "_read",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, so that `import rlx_logging` costs next to nothing."""
    if name in _LAZY:
        return vars(import_module(f"rlx_logging.{_LAZY[name]}"))[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Show what is listed, imported or not yet."""
    return sorted(__all__)
