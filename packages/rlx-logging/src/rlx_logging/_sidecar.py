"""Where a trainer stood at its last checkpoint: a small file, so that restoring reads no log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._atomic import write_atomically

SIDECAR: Final = "logs.restore.json"


def write_sidecar(folder: Path, saved: Mapping[str, Any]) -> None:
    """Replace the record in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SIDECAR, (json.dumps(saved) + "\n").encode())


def read_sidecar(folder: Path) -> dict[str, Any] | None:
    """Return the record in `folder`, or None if there is none that can be read."""
    try:
        saved = json.loads((folder / SIDECAR).read_bytes())
        if (
            isinstance(saved, dict)
            and {"epoch", "env_step", "gradient_step", "gates", "last_save_step"} <= saved.keys()
        ):
            return saved
    except (OSError, ValueError):
        pass
    return None


def remove_sidecar(folder: Path) -> None:
    """Take the record away."""
    (folder / SIDECAR).unlink(missing_ok=True)
