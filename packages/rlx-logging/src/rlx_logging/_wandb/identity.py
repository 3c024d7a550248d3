"""Which run of W&B a folder logs to: a small file, so that the next attempt continues the same one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

from rlx_logging._files.atomic import write_atomically

FILE_NAME: Final = "logs.wandb.json"


class Identity(NamedTuple):
    """A run of W&B.

    Attributes:
        run_id: Its identity there.
        offset: W&B's step of the first row of ours: the run may have had others before.
        folders: How many folders its offline attempts have made.
        online: Whether an attempt spoke to the server.
    """

    run_id: str
    offset: int = 0
    folders: int = 0
    online: bool = False

    def write(self, folder: Path) -> None:
        """Replace the record in `folder`."""
        write_atomically(folder / FILE_NAME, (json.dumps(self._asdict()) + "\n").encode())


def read_identity(folder: Path) -> Identity | None:
    """Return the record in `folder`, None if there is none that can be read."""
    try:
        saved = json.loads((folder / FILE_NAME).read_bytes())
        return Identity(
            str(saved["run_id"]), int(saved["offset"]), int(saved["folders"]), bool(saved["online"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
