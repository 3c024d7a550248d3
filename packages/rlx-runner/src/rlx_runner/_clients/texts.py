"""Log files of text that SB3 opens for writing, which a process that begins again has emptied by then."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rlx_runner._offers import offered


class TextLogs:
    """The contents of log files, saved with the run: a resumed process writes them again.

    Args:
        writers: Objects of SB3 that hold an open text file each: output formats, and writers of monitors.
    """

    def __init__(self, writers: Iterable[Any]) -> None:
        self._writers = list(writers)

    def state(self) -> list[dict[str, Any]]:
        """Return the contents, and the columns where a format has such."""
        return [_state(writer) for writer in self._writers]

    def load(self, states: Sequence[dict[str, Any]]) -> None:
        """Make every file what it was."""
        for writer, state in zip(self._writers, states, strict=False):
            file = _file(writer)
            _path(file).write_bytes(state["content"])
            file.seek(0, os.SEEK_END)
            columns = offered(writer, "keys")
            if columns is not None:
                columns[:] = state["columns"]


def _state(writer: Any) -> dict[str, Any]:
    file = _file(writer)
    file.flush()
    return {"content": _path(file).read_bytes(), "columns": list(offered(writer, "keys") or ())}


def _file(writer: Any) -> Any:
    return offered(writer, "file_handler", "file")


def _path(file: Any) -> Path:
    return Path(file.name)
