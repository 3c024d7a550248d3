"""TensorBoard event files, written without TensorBoard wherever a row is only scalars."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Unpack

from rlx_logging._backend import Backend
from rlx_logging._files.append import AppendFile
from rlx_logging._files.folder import LogFolder
from rlx_logging._offers import folder_of
from rlx_logging._options import FailureOptions, SaveInterval
from rlx_logging._rows.rows import Layout, Row
from rlx_logging._run_logger import RunLogger
from rlx_logging._tensorboard.hparams import HparamsFile
from rlx_logging._tensorboard.records import ScalarPacker, file_version, frame

if TYPE_CHECKING:
    from rlx_logging._rows.media import Media
    from rlx_logging._tensorboard.summary_writer import SummaryWriterLike

_NAME: Final = "events.out.tfevents."


class TensorboardBackend(Backend):
    """Writes one record and makes one write call a row, to an event file of its own.

    Values are float32, as everywhere in TensorBoard; larger ones become its largest.
    """

    name = "tensorboard"

    def __init__(self, folder: LogFolder) -> None:
        self._folder = folder
        self._file: AppendFile | None = None
        self._begun = False
        self._packers: dict[Layout, ScalarPacker] = {}
        self._hparams = HparamsFile(folder.path)

    def write(self, row: Row) -> None:
        """Append one record with all scalars, and one for each array (a histogram)."""
        packer = self._packers.get(row.layout)
        if packer is None:
            packer = self._packers[row.layout] = ScalarPacker(row.layout.tags)
        file = self._file if self._begun and self._file else self._begin()
        file.append(packer.pack(row))
        if row.arrays:
            from rlx_logging._tensorboard.media import histogram_event

            for tag, array in row.arrays.items():
                self._append(histogram_event(tag, row.step, row.time, array))

    def write_media(self, tag: str, step: int, time: float, media: Media) -> None:
        """Append a picture, a film (as an animated picture) or a text."""
        from rlx_logging._tensorboard.media import media_event

        self._append(media_event(tag, step, time, media))

    def log_hparams(self, hparams: Mapping[str, Any]) -> None:
        """Show the arguments of the run in the HParams tab."""
        self._hparams.log(hparams)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Show the run as one that has not ended."""
        del state
        self._hparams.begin_again()

    def restore(self, record: Mapping[str, Any]) -> None:
        """Show the run as one that has not ended."""
        del record
        self._hparams.begin_again()

    def finish(self, *, failed: bool) -> None:
        """Close, and show in the HParams tab how the run has ended."""
        self.close()
        self._hparams.end(failed=failed)

    def _append(self, event: bytes) -> None:
        self._begin().append(frame(event))

    def _begin(self) -> AppendFile:
        """Return the open file, with the record that every event file starts with in it."""
        if self._file is None:
            self._file = self._open()
        if not self._begun:
            self._file.append(file_version(time.time()))
            self._begun = True
        return self._file

    def _open(self) -> AppendFile:
        """Start a file whose name no other has, and that readers take after all that are there."""
        stamps = [int(time.time()), *(stamp + 1 for stamp in self._stamps())]
        start, number = f"{_NAME}{max(stamps):010d}.{socket.gethostname()}.{os.getpid()}", 0
        while (self._folder.path / f"{start}.{number}").exists():
            number += 1
        return self._folder.open(f"{start}.{number}", exclusive=True)

    def _stamps(self) -> Iterator[int]:
        """Yield the seconds in the names of the event files that are there; readers sort by name."""
        for path in self._folder.path.glob(f"{_NAME}*"):
            stamp = path.name.removeprefix(_NAME).partition(".")[0]
            if stamp.isdecimal():
                yield int(stamp)

    def close(self) -> None:
        """Start a new file if rows follow: a TensorBoard that reads the old one must not see it cut and grow."""
        self._file = None
        self._begun = False


class TensorboardLogger(RunLogger):
    """Logs to TensorBoard alone; tianshou's class of this name, with files that lose nothing.

    Args:
        writer: A folder for event files, or a SummaryWriter (of torch or tensorboardX).
        train_interval: Environment steps between two rows of `log_train_data`.
        test_interval: Environment steps between two rows of `log_test_data`.
        update_interval: Gradient steps between two rows of `log_update_data`.
        info_interval: Epochs between two rows of `log_info_data`.
        save_interval: Epochs between two calls of the checkpoint hook; see `RunLogger`.
        write_flush: Flush a SummaryWriter after every row; a folder needs no flush.
        exclude_arrays: Leave numpy arrays out; with False they are histograms.
        training_interval: What tianshou 2 calls `train_interval`.
        options: Those of `RunLogger`.

    Raises:
        TypeError: If `writer` is neither.
    """

    def __init__(
        self,
        writer: SummaryWriterLike | str | os.PathLike[str],
        train_interval: int = 1000,
        test_interval: int = 1,
        update_interval: int = 1000,
        info_interval: int = 1,
        save_interval: SaveInterval = "auto",
        write_flush: bool = True,
        exclude_arrays: bool = True,
        *,
        training_interval: int | None = None,
        **options: Unpack[FailureOptions],
    ) -> None:
        self.writer = writer
        self.write_flush = write_flush
        folder, backend = _backend_for(writer, write_flush)
        super().__init__(
            folder,
            [backend],
            train_interval=train_interval,
            test_interval=test_interval,
            update_interval=update_interval,
            info_interval=info_interval,
            save_interval=save_interval,
            exclude_arrays=exclude_arrays,
            training_interval=training_interval,
            **options,
        )


def _backend_for(
    writer: SummaryWriterLike | str | os.PathLike[str], write_flush: bool
) -> tuple[LogFolder, Backend]:
    if isinstance(writer, (str, os.PathLike)):
        folder = LogFolder(writer)
        return folder, TensorboardBackend(folder)
    from rlx_logging._tensorboard.summary_writer import SummaryWriterBackend

    logdir = folder_of(writer)
    if logdir is None:
        raise TypeError(f"writer must be a folder or a SummaryWriter; got {writer!r}.")
    folder = LogFolder(logdir)
    return folder, SummaryWriterBackend(writer, folder, write_flush)
