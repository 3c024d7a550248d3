"""A SummaryWriter that someone else made, as a backend."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any, Final, Protocol

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._rows.arguments import flat_arguments
from rlx_logging._rows.arrays import Histogram
from rlx_logging._rows.media import Image, Media, Text, Video
from rlx_logging._rows.rows import Row
from rlx_logging._tensorboard.records import to_float32

_log: Final = logging.getLogger("rlx_logging")


class SummaryWriterLike(Protocol):
    """What is used of a SummaryWriter, torch's or tensorboardX's."""

    def add_scalar(
        self, tag: Any, scalar_value: Any, global_step: Any = None, walltime: Any = None
    ) -> object:
        """Add a number."""
        ...

    def add_histogram_raw(
        self, tag: Any, min: Any, max: Any, num: Any, sum: Any, sum_squares: Any,  # noqa: A002
        bucket_limits: Any, bucket_counts: Any, global_step: Any = None, walltime: Any = None,
    ) -> object:  # fmt: skip
        """Add a histogram that is counted already."""
        ...

    def add_image(
        self, tag: Any, img_tensor: Any, global_step: Any = None, walltime: Any = None, dataformats: Any = ...
    ) -> object:
        """Add a picture."""
        ...

    def add_text(self, tag: Any, text_string: Any, global_step: Any = None) -> object:
        """Add a text."""
        ...

    def flush(self) -> object:
        """Write out what is held back."""
        ...

    def close(self) -> object:
        """Close the file."""
        ...


class SummaryWriterBackend(Backend):
    """Hands rows to a SummaryWriter of torch or tensorboardX.

    Args:
        writer: The writer; `close` closes it.
        folder: The writer's folder.
        write_flush: Flush after every row. Without it a kill loses what the writer holds.
    """

    name = "tensorboard"

    def __init__(self, writer: SummaryWriterLike, folder: LogFolder, write_flush: bool = True) -> None:
        self._writer = writer
        self._folder = folder
        self._write_flush = write_flush
        self._left_out: set[str] = set()

    def write(self, row: Row) -> None:
        """Add every value as a scalar, every array as a histogram."""
        for tag, value in zip(row.layout.tags, (row.step, *row.values), strict=True):
            self._writer.add_scalar(tag, to_float32(value), row.step, row.time)
        for tag, array in row.arrays.items():
            shown = Histogram.of(array)
            self._writer.add_histogram_raw(
                tag, shown.least, shown.greatest, shown.num, shown.total, shown.squares,
                shown.edges.tolist(), [0, *shown.counts.tolist()], row.step, row.time,
            )  # fmt: skip
        if self._write_flush:
            self._writer.flush()

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Add a picture or a text; films are left out, as writers need another library for them, and warned of once."""
        match media:
            case Image(pixels):
                self._writer.add_image(tag, pixels, step, time, dataformats="HWC")
            case Text(text):
                self._writer.add_text(tag, text, step)
            case Video():
                self._leave_out(tag)

    def _leave_out(self, tag: str) -> None:
        if tag not in self._left_out:
            self._left_out.add(tag)
            _log.warning("not logged: the film %r; hand in a folder rather than a SummaryWriter", tag)

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Add the arguments of the run as text; `add_hparams` would start a run of its own."""
        lines = [f"|{key}|{value}|" for key, value in flat_arguments(hparams).items()]
        self._writer.add_text("hparams", "\n".join(["|argument|value|", "|---|---|", *lines]), 0)

    def flush(self) -> None:
        """Flush the writer and learn which files are its own."""
        self._writer.flush()
        for name in self._written():
            self._folder.adopt(name)

    def _written(self) -> list[str]:
        """Return the writer's event file: of those this process made, if their names say so, the latest."""
        files = sorted(
            self._folder.path.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime_ns
        )
        mine = [path for path in files if f".{os.getpid()}." in path.name] or files
        return [mine[-1].name] if mine else []

    def close(self) -> None:
        """Close the writer; torch's and tensorboardX's start a new file if rows follow."""
        self.flush()
        self._writer.close()
