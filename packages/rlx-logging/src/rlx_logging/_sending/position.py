"""Which run of a service a folder logs to, and how far: a small file, so that the next attempt continues it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from rlx_logging._files.atomic import write_atomically


class Position(NamedTuple):
    """Where a service stands.

    Attributes:
        run_id: Identity of the run there.
        begun: How many rows of the journal may be there: their sending has begun.
        sent: How many certainly are.
    """

    run_id: str
    begun: int = 0
    sent: int = 0

    def write(self, path: Path) -> None:
        """Replace the record."""
        write_atomically(path, (json.dumps(self._asdict()) + "\n").encode())

    @classmethod
    def read(cls, path: Path) -> Position | None:
        """Return the record, None if there is none that can be read."""
        try:
            saved = json.loads(path.read_bytes())
            return cls(str(saved["run_id"]), int(saved["begun"]), int(saved["sent"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
