"""The JSON file beside a policy file: its record, for people and scripts.

It is a copy. The record inside the file is the truth: a kill between the two writes
leaves a sidecar of the version before.
"""

import json
import os
from pathlib import Path

from rlx_persistence._atomic import replacing
from rlx_persistence._record import PolicyInfo


def sidecar_path(path: str | os.PathLike[str]) -> Path:
    """Return the sidecar's path: the file's own with ``.json`` behind it."""
    return Path(f"{os.fspath(path)}.json")


def write_sidecar(path: str | os.PathLike[str], info: PolicyInfo) -> None:
    """Write the record of the file `path` beside it."""
    document = {"file": Path(path).name, "bytes": Path(path).stat().st_size, **info.to_json()}
    with replacing(sidecar_path(path), synced=False) as file:
        file.write(json.dumps(document, indent=2).encode() + b"\n")
