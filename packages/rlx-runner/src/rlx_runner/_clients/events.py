"""Event files of SB3's TensorBoard format: cut to where they were, and continued by a file of the next process."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SUFFIX: Final = ".resumed"
"""Ends the names of event files that resumed processes begin, so that those of no snapshot are known as lost work."""


class EventFiles:
    """The event files of one run, of this process and of those before.

    Args:
        output: SB3's TensorBoardOutputFormat.
    """

    def __init__(self, output: Any) -> None:
        self._output = output
        self._earlier: dict[str, int] = {}

    def state(self) -> dict[str, Any]:
        """Return the folder, and the files with their sizes."""
        self._output.writer.flush()
        return {"folder": str(self._folder), "sizes": {**self._earlier, **self._own()}}

    def load(self, state: Mapping[str, Any]) -> None:
        """Cut the files to the saved sizes and begin a new one in the same folder.

        A run that SB3 has numbered again, as ``PPO_2``, continues in the folder that it had.
        """
        self._output.writer.close()
        for name in self._own().keys() - state["sizes"].keys():
            (self._folder / name).unlink()
        folder = Path(state["folder"])
        if folder != self._folder and folder.parent == self._folder.parent and folder.exists():
            _remove_if_empty(self._folder)
        else:
            folder = self._folder
        self._earlier = {name: size for name, size in state["sizes"].items() if (folder / name).exists()}
        for name, size in self._earlier.items():
            os.truncate(folder / name, size)
        for lost in folder.glob(f"events.out.tfevents.*{SUFFIX}"):
            if lost.name not in self._earlier:
                lost.unlink()
        from torch.utils.tensorboard import SummaryWriter

        self._output.writer = SummaryWriter(str(folder), filename_suffix=SUFFIX)

    @property
    def folder(self) -> str:
        """Where the files are."""
        return str(self._folder)

    @property
    def _folder(self) -> Path:
        return Path(self._output.writer.log_dir)

    def _own(self) -> dict[str, int]:
        pattern = f"events.out.tfevents.*.{socket.gethostname()}.{os.getpid()}.*"
        return {path.name: path.stat().st_size for path in self._folder.glob(pattern)}


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()
