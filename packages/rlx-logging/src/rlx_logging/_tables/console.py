"""The console: one readable table an epoch."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO, Unpack

from rlx_logging._backend import Backend
from rlx_logging._files.folder import LogFolder
from rlx_logging._options import LoggerOptions
from rlx_logging._rows.media import Media, Text
from rlx_logging._rows.rows import Row
from rlx_logging._run_logger import RunLogger

if TYPE_CHECKING:
    from rich.table import Table


class ConsoleBackend(Backend):
    """Prints at every row of the scope ``info``: its values and the latest of the other scopes.

    A table where the stream is a terminal and rich is installed, else plain lines.

    Args:
        stream: Where to print; standard output by default.
    """

    name = "console"
    may_lack_rows = False

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._latest: dict[str, dict[str, float]] = {}

    def write(self, row: Row) -> None:
        """Keep the values; print when an epoch is complete."""
        latest = self._latest.setdefault(row.layout.scope, {})
        latest.update(zip((row.layout.step_name, *row.layout.keys), (row.step, *row.values), strict=True))
        if row.layout.scope == "info":
            title = f"{row.layout.step_name} {row.step}"
            self._print(title)
            self._latest.clear()

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Print a text; pictures and films are left out."""
        if isinstance(media, Text):
            stream = self._stream or sys.stdout
            stream.write(f"{tag} {step}: {media.text}\n")
            stream.flush()

    def close(self) -> None:
        """Forget what was not printed."""
        self._latest.clear()

    def _print(self, title: str) -> None:
        stream = self._stream or sys.stdout
        lines = {
            (name if scope == "info" else f"{scope}/{name}"): format_value(value)
            for scope, values in sorted(self._latest.items(), key=lambda item: item[0] != "info")
            for name, value in values.items()
        }
        table = _table(title, lines) if stream.isatty() else None
        if table is None:
            stream.write(title + ": " + "  ".join(f"{name}={text}" for name, text in lines.items()) + "\n")
        else:
            from rich.console import Console

            Console(file=stream).print(table)
        stream.flush()


def _table(title: str, lines: Mapping[str, str]) -> Table | None:
    try:
        from rich.box import ROUNDED
        from rich.table import Table
    except ModuleNotFoundError:
        return None
    table = Table(title=title, box=ROUNDED, show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for name, text in lines.items():
        table.add_row(name, text)
    return table


def format_value(value: float) -> str:
    """Return a number in at most six digits, whole numbers in full."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else f"{value:.6g}"


class ConsoleLogger(RunLogger):
    """Prints to the console alone; keeps no files but the record of `save_data`.

    Args:
        log_dir: Where that record is.
        stream: Where to print; standard output by default.
        options: Those of `RunLogger`.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = ".",
        *,
        stream: TextIO | None = None,
        **options: Unpack[LoggerOptions],
    ) -> None:
        super().__init__(LogFolder(log_dir), [ConsoleBackend(stream)], **options)


def make_console(_folder: LogFolder, *, stream: TextIO | None = None) -> ConsoleBackend:
    """Return the backend for `make_logger`; it needs no folder."""
    return ConsoleBackend(stream)
