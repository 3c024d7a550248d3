"""One policy file: written sealed and atomically, checked before it is read."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rlx_persistence._atomic import replacing
from rlx_persistence._errors import PolicyNotFoundError
from rlx_persistence._forms.pickled import read_object
from rlx_persistence._forms.safetensors import check_safetensors, refuse_unreadable, write_safetensors
from rlx_persistence._optional import TDevice
from rlx_persistence._record import PolicyInfo
from rlx_persistence._seal import ZIP_HEAD, SealingFile, check_seal


def write_sealed(
    path: str | os.PathLike[str], info: PolicyInfo, write: Callable[[SealingFile], None]
) -> None:
    """Publish what `write` writes, sealed with `info`, as `path`."""
    with replacing(path) as file:
        sealing = SealingFile(file)
        write(sealing)
        sealing.seal(info.to_json())


def write_tensors(path: str | os.PathLike[str], info: PolicyInfo, state: Mapping[str, object]) -> None:
    """Publish `state` as a safetensors file that carries `info`."""
    with replacing(path) as file:
        write_safetensors(state, file, info.to_json())
        file.flush()
        refuse_unreadable(file.name, state)


def read_info(path: str | os.PathLike[str]) -> PolicyInfo | None:
    """Check a persisted file and return what it says about itself; nothing is unpickled.

    Args:
        path: A file written by this package, or any other.

    Returns:
        The record of the file, or None where there is none (a file of
        ``torch.save`` or safetensors itself): such a file is not checked.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedFileError: If the file is not what was written.
    """
    with Path(path).open("rb") as file:
        head = file.read(9)
    # A pickle and an archive show themselves at once; safetensors begin with a length and a brace.
    pickled = head.startswith((ZIP_HEAD, b"\x80"))
    tensors = not pickled and (head[8:] == b"{" or Path(path).suffix == ".safetensors")
    document = check_safetensors(path) if tensors else check_seal(path)
    return None if document is None else PolicyInfo.from_json(document)


def load_policy(path: str | os.PathLike[str], *, device: TDevice = "cpu") -> Any:
    """Load a whole policy, without an object to restore it to.

    This executes code that the file names, as any pickle does: load only files that you trust.

    Args:
        path: A file of mode POLICY.
        device: Where a torch policy's tensors are put, as ``torch.load`` takes it.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedFileError: If the file is not what was written.
    """
    if not Path(path).exists():
        raise PolicyNotFoundError(str(Path(path).absolute()))
    read_info(path)
    return read_object(path, device)
