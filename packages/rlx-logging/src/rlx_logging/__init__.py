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
    NotANumberWarning,
    ShorterLogWarning,
)
from rlx_logging._lazy_logger import LazyLogger
from rlx_logging._scopes import DataScope

if TYPE_CHECKING:  # types are never lazy
    from rlx_logging._backend import Backend
    from rlx_logging._clients.sb3 import sb3_writer
    from rlx_logging._clients.summary_writer import SummaryWriter
    from rlx_logging._files.folder import LogFolder
    from rlx_logging._journal.backend import JournalLogger
    from rlx_logging._journal.tail import read_rows
    from rlx_logging._logger_backend import LoggerBackend
    from rlx_logging._metrics.metrics import Metrics, Series
    from rlx_logging._processors.rows import AddPrefix, AtMostEvery, KeepKeys
    from rlx_logging._processors.system import AddSystemMetrics
    from rlx_logging._rank_zero import rank_zero
    from rlx_logging._read import read_metrics
    from rlx_logging._registry import make_logger
    from rlx_logging._rows.media import Image, Media, Text, Video
    from rlx_logging._rows.rows import Layout, Row
    from rlx_logging._run_logger import RunLogger
    from rlx_logging._tables.console import ConsoleLogger
    from rlx_logging._tables.csv import CsvLogger
    from rlx_logging._tables.jsonl import JsonLinesLogger
    from rlx_logging._tensorboard.backend import TensorboardLogger
    from rlx_logging._wandb.logger import WandbLogger

__all__ = [
    "AddPrefix",
    "AddSystemMetrics",
    "AtMostEvery",
    "Backend",
    "BaseLogger",
    "ConsoleLogger",
    "CsvLogger",
    "DamagedLogWarning",
    "DataScope",
    "DroppedRowsWarning",
    "GapWarning",
    "Image",
    "JournalLogger",
    "JsonLinesLogger",
    "KeepKeys",
    "Layout",
    "LazyLogger",
    "LogFolder",
    "LoggerBackend",
    "LoggingWarning",
    "Media",
    "Metrics",
    "MissingBackendError",
    "NotANumberWarning",
    "Row",
    "RunLogger",
    "Series",
    "ShorterLogWarning",
    "SummaryWriter",
    "TensorboardLogger",
    "Text",
    "Video",
    "WandbLogger",
    "make_logger",
    "rank_zero",
    "read_metrics",
    "read_rows",
    "sb3_writer",
]

_LAZY: Final = {
    "AddPrefix": "_processors.rows",
    "AddSystemMetrics": "_processors.system",
    "AtMostEvery": "_processors.rows",
    "Backend": "_backend",
    "ConsoleLogger": "_tables.console",
    "CsvLogger": "_tables.csv",
    "Image": "_rows.media",
    "JournalLogger": "_journal.backend",
    "JsonLinesLogger": "_tables.jsonl",
    "KeepKeys": "_processors.rows",
    "Layout": "_rows.rows",
    "LogFolder": "_files.folder",
    "LoggerBackend": "_logger_backend",
    "Media": "_rows.media",
    "Metrics": "_metrics.metrics",
    "Row": "_rows.rows",
    "RunLogger": "_run_logger",
    "Series": "_metrics.metrics",
    "SummaryWriter": "_clients.summary_writer",
    "TensorboardLogger": "_tensorboard.backend",
    "Text": "_rows.media",
    "Video": "_rows.media",
    "WandbLogger": "_wandb.logger",
    "make_logger": "_registry",
    "rank_zero": "_rank_zero",
    "read_metrics": "_read",
    "read_rows": "_journal.tail",
    "sb3_writer": "_clients.sb3",
}


def __getattr__(name: str) -> object:
    """Import what is asked for, so that `import rlx_logging` costs next to nothing."""
    if name in _LAZY:
        return vars(import_module(f"rlx_logging.{_LAZY[name]}"))[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Show what is listed, imported or not yet."""
    return sorted(__all__)
