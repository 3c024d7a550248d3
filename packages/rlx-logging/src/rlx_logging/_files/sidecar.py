"""Where a trainer stood at its last checkpoint: a small file, so that restoring reads no log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rlx_logging._files.atomic import write_atomically

SIDECAR: Final = "logs.restore.json"
_COUNTS: Final = ("epoch", "env_step", "gradient_step", "last_save_step")


def write_sidecar(folder: Path, saved: Mapping[str, Any]) -> None:
    """Replace the record in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / SIDECAR, (json.dumps(saved) + "\n").encode())


def read_sidecar(folder: Path) -> dict[str, Any] | None:
    """Return the record in `folder`, or None if there is none that can be read."""
    try:
        saved: dict[str, Any] = json.loads((folder / SIDECAR).read_bytes())
        counts = {name: int(saved[name]) for name in _COUNTS}
        steps = {str(scope): int(step) for scope, step in saved["gates"].items()}
        backends = {str(name): dict(record) for name, record in saved.get("backends", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {**counts, "gates": steps, "backends": backends}


def replace_sidecar(folder: Path, saved: Mapping[str, Any] | None) -> None:
    """Put an earlier record in the place of the one that is there; take that away for None."""
    if saved is None:
        (folder / SIDECAR).unlink(missing_ok=True)
    else:
        write_sidecar(folder, saved)
