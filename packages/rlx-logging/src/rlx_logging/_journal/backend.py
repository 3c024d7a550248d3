"""The metric journal: the primary store of a run, exact and complete."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from rlx_logging._backend import Backend
from rlx_logging._files.append import AppendFile
from rlx_logging._files.folder import LogFolder
from rlx_logging._journal.format import (
    FILE_NAME,
    Kind,
    RowPacker,
    file_record,
    pack_array,
    pack_json,
    pack_layout,
)
from rlx_logging._options import LoggerOptions
from rlx_logging._rows.media import Media, Text
from rlx_logging._rows.rows import Layout, Row
from rlx_logging._run_logger import RunLogger


class JournalBackend(Backend):
    """Appends rows to ``metrics.rlxj``, one write call each."""

    name = "journal"

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._file: AppendFile | None = None
        self._packers: dict[Layout, RowPacker] = {}

    def write(self, row: Row) -> None:
        """Append one row; names go along with the first row that has them."""
        packer = self._packers.get(row.layout)
        if packer is None or self._file is None or row.arrays:
            self._write_more(row)
        else:
            self._file.append(packer.pack(row))

    def _write_more(self, row: Row) -> None:
        packer = self._packers.get(row.layout) or RowPacker(row.layout)
        pieces = [packer.pack(row)]
        if row.layout not in self._packers:  # on both sides of the row: damage to one costs nothing
            names = pack_layout(row.layout)
            pieces = [names, *pieces, names]
        pieces += [pack_array(row, tag, array) for tag, array in row.arrays.items()]
        self._append(b"".join(pieces))
        self._packers[row.layout] = packer

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Keep a text; pictures and films are for those who show them."""
        if isinstance(media, Text):
            about = {"tag": tag, "step": step, "time": time, "text": media.text}
            self._append(pack_json(Kind.TEXT, about))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Keep the arguments of the run."""
        self._append(pack_json(Kind.HPARAMS, hparams))

    def _append(self, piece: bytes) -> None:
        if self._file is None:
            self._file = self._folder.open(FILE_NAME)
        self._file.append(piece if self._file.size else file_record() + piece)

    def close(self) -> None:
        """Open again and write names again if rows follow: those in the file may be cut off."""
        self._file = None
        self._packers.clear()


class JournalLogger(RunLogger):
    """Logs to the metric journal ``metrics.rlxj`` alone."""

    def __init__(self, log_dir: str | os.PathLike[str], **options: Unpack[LoggerOptions]) -> None:
        folder = LogFolder(log_dir)
        super().__init__(folder, [JournalBackend(folder)], **options)
