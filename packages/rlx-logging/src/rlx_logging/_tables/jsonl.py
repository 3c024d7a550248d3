"""JSON lines: one strict JSON object a row."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final, Unpack, cast

from rlx_logging._backend import Backend
from rlx_logging._files.append import AppendFile
from rlx_logging._files.folder import LogFolder
from rlx_logging._options import LoggerOptions
from rlx_logging._rows.media import Media, Text
from rlx_logging._rows.numbers import name_if_not_finite
from rlx_logging._rows.rows import Row
from rlx_logging._rows.values import is_mapping
from rlx_logging._run_logger import RunLogger

FILE_NAME: Final = "metrics.jsonl"


class JsonLinesBackend(Backend):
    """Appends one object a row to ``metrics.jsonl``.

    Members: ``time`` (seconds since the epoch), the full name of every value
    (``"info/epoch"``, ``"info/loss"``), and, where a value is not finite, null in its
    place and its name under ``not_finite``. Arrays are nested lists, with their
    non-finite elements as the strings ``NaN``, ``Infinity`` and ``-Infinity``. A text has
    a line of its own: ``time``, ``tag``, ``step``, ``text``.
    """

    name = "jsonl"

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._file: AppendFile | None = None

    def write(self, row: Row) -> None:
        """Append one line."""
        values = dict(zip(row.layout.tags, (row.step, *row.values), strict=True))
        odd = {tag: name for tag, value in values.items() if (name := name_if_not_finite(value))}
        members: dict[str, object] = {"time": row.time, **values}
        for tag in odd:
            members[tag] = None
        if odd:
            members["not_finite"] = odd
        for tag, array in row.arrays.items():
            members[tag] = _strict(array.tolist())
        self._append(members)

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Append one line with a text; pictures and films are left out."""
        if isinstance(media, Text):
            self._append({"time": time, "tag": tag, "step": step, "text": media.text})

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Append one line with the arguments of the run."""
        self._append({"hparams": _strict(hparams)})

    def _append(self, members: Mapping[str, object]) -> None:
        line = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if self._file is None:
            self._file = self._folder.open(FILE_NAME)
            self._file.end_last_line()
        self._file.append(line.encode() + b"\n")

    def close(self) -> None:
        """Open again if rows follow."""
        self._file = None


def _strict(value: Any) -> Any:
    if is_mapping(value):
        return {key: _strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in cast("Sequence[Any]", value)]
    if isinstance(value, float):
        return name_if_not_finite(value) or value
    return value


class JsonLinesLogger(RunLogger):
    """Logs to ``metrics.jsonl`` alone."""

    def __init__(self, log_dir: str | os.PathLike[str], **options: Unpack[LoggerOptions]) -> None:
        folder = LogFolder(log_dir)
        super().__init__(folder, [JsonLinesBackend(folder)], **options)
