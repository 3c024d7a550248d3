"""What the HParams tab of TensorBoard shows of a run: its arguments, and how it ended."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._files.atomic import write_atomically
from rlx_logging._missing import require
from rlx_logging._rows.arguments import flat_arguments
from rlx_logging._tensorboard.records import file_version, frame

FILE_NAME: Final = "events.out.tfevents.0000000000.hparams"
_LENGTH: Final = struct.Struct("<Q")
_FRAME: Final = 16  # bytes of a record beside its event
_USED_BY: Final = "logging hyperparameters to TensorBoard"


class HparamsFile:
    """An event file for the arguments and the outcome of a run alone, which every change replaces.

    TensorBoard takes the first of several records of them: the last one has to be the only one. One that is
    running shows what it has read until it is started again.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._arguments: dict[str, Any] = {}

    def log(self, hparams: Mapping[str, Any]) -> None:
        """Show arguments, beside those that were logged before in this attempt."""
        self._arguments |= flat_arguments(hparams)
        summary = _tensorboard("plugins.hparams.summary_v2")
        start = _event(summary.hparams_pb(self._arguments))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path, file_version(time.time()) + frame(start))

    def begin_again(self) -> None:
        """Show the run as one that has not ended."""
        if (start := self._start()) is not None:
            write_atomically(self._path, start)

    def end(self, *, failed: bool) -> None:
        """Show how the run has ended."""
        if (start := self._start()) is None:
            return
        write_atomically(self._path, start + frame(_event(_outcome(failed))))

    def _start(self) -> bytes | None:
        """Return the file without the outcome: its first two records; None if no arguments were logged."""
        try:
            data = self._path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        end = 0
        for _ in range(2):
            end += _FRAME + _LENGTH.unpack_from(data, end)[0]
        return data[:end]


def _outcome(failed: bool) -> Any:
    """Return the summary that ends a session; TensorBoard's own function for it needs TensorFlow."""
    names = ("plugins.hparams.metadata", "plugins.hparams.plugin_data_pb2", "plugins.hparams.api_pb2")
    metadata, plugin, status = (_tensorboard(name) for name in names)
    ended = plugin.SessionEndInfo(
        status=status.STATUS_FAILURE if failed else status.STATUS_SUCCESS, end_time_secs=time.time()
    )
    content = metadata.create_summary_metadata(plugin.HParamsPluginData(session_end_info=ended))
    summary = _tensorboard("compat.proto.summary_pb2").Summary()
    summary.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=content, tensor=metadata.NULL_TENSOR)
    return summary


def _tensorboard(module: str) -> Any:
    return require(f"tensorboard.{module}", extra="tensorboard", used_by=_USED_BY)


def _event(summary: Any) -> bytes:
    event = _tensorboard("compat.proto.event_pb2").Event(wall_time=time.time(), step=0)
    event.summary.ParseFromString(summary.SerializeToString())
    return bytes(event.SerializeToString())
