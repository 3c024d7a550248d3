"""State dicts as safetensors files: nothing executable in them, readable from any language.

The digest stands in the header's metadata and is taken over the whole file with a
placeholder in its place. Tied tensors are stored once; the metadata maps each other
name to the stored one, as ``safetensors.torch.save_model`` does it.
"""

import json
import mmap
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import xxhash

from rlx_persistence._errors import DamagedFileError, MissingLibraryError
from rlx_persistence._optional import TDevice, import_numpy, is_tensor

DIGEST_KEY: Final = "rlx.xxh3_128"
RECORD_KEY: Final = "rlx.record"
_PLACEHOLDER: Final = b"0" * 32


def write_safetensors(state: Mapping[str, object], file: BinaryIO, record: Mapping[str, object]) -> None:
    """Write `state`, whose values are all tensors or all NumPy arrays, and its `record`.

    Raises:
        TypeError: If a value is something else.
    """
    if any(is_tensor(value) for value in state.values()):
        stored, tied = _tensors(state)
        library = _library("torch")
    else:
        stored, tied = _arrays(state), {}
        library = _library("numpy")
    metadata = {**tied, RECORD_KEY: json.dumps(record), DIGEST_KEY: _PLACEHOLDER.decode()}
    content = memoryview(library.save(stored, metadata))
    place = _digest_place(_header(content), _PLACEHOLDER)
    file.write(content[:place])
    file.write(xxhash.xxh3_128(content).hexdigest().encode())
    file.write(content[place + len(_PLACEHOLDER) :])


def read_safetensors(path: str | os.PathLike[str], device: TDevice, *, torch: bool) -> dict[str, object]:
    """Read all tensors, tied ones under each of their names.

    Args:
        path: The file.
        device: Where torch tensors are put.
        torch: Whether to return torch tensors; else NumPy arrays.
    """
    library = _library("torch" if torch else "numpy")
    options = {"device": str(device)} if torch else {}
    try:
        state: dict[str, object] = library.load_file(path, **options)
    except import_module("safetensors").SafetensorError as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error
    with Path(path).open("rb") as file:
        metadata = _metadata(_read_header(file))
    ties = {name: kept for name, kept in metadata.items() if kept in state and name not in state}
    return state | {name: state[kept] for name, kept in ties.items()}


def check_safetensors(path: str | os.PathLike[str]) -> Mapping[str, object] | None:
    """Check the file against its digest and return its record; None where it has none.

    Raises:
        DamagedFileError: If the file is not what was written.
    """
    with Path(path).open("rb") as file:
        try:
            header = _read_header(file)
            metadata = _metadata(header)
        except (ValueError, EOFError) as error:
            raise DamagedFileError(path, f"its header cannot be read ({error})") from error
        if RECORD_KEY.encode() not in header and DIGEST_KEY.encode() not in header:
            return None
        if metadata.keys() & {RECORD_KEY, DIGEST_KEY} != {RECORD_KEY, DIGEST_KEY}:
            raise DamagedFileError(path, "record and digest are not where they belong in its header")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            if _digest(view, header, metadata[DIGEST_KEY].encode()) != metadata[DIGEST_KEY]:
                raise DamagedFileError(path, "its digest is not that of its content")
    record: Mapping[str, object] = json.loads(metadata[RECORD_KEY])
    return record


def _digest(view: memoryview, header: bytes, digest: bytes) -> str:
    place = _digest_place(header, digest)
    hashed = xxhash.xxh3_128(view[:place])
    hashed.update(_PLACEHOLDER)
    hashed.update(view[place + len(digest) :])
    return hashed.hexdigest()


def _header(content: memoryview) -> bytes:
    return bytes(content[: 8 + int.from_bytes(content[:8], "little")])


def _read_header(file: BinaryIO) -> bytes:
    """Length field and JSON header, as they stand in the file."""
    length = file.read(8)
    size = int.from_bytes(length, "little")
    if len(length) < 8 or size > os.fstat(file.fileno()).st_size:
        raise EOFError(f"it ends before its header of {size} bytes")
    return length + file.read(size)


def _metadata(header: bytes) -> dict[str, str]:
    return cast("dict[str, str]", json.loads(header[8:]).get("__metadata__", {}))


def _digest_place(header: bytes, digest: bytes) -> int:
    return header.find(f'"{DIGEST_KEY}":"'.encode() + digest) + len(DIGEST_KEY) + 4


def _tensors(state: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """Tensors that share no memory, and the names of those that are others' twins."""
    stored: dict[str, object] = {}
    tied: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    storages: set[int] = set()
    for name, value in state.items():
        if not is_tensor(value):
            raise _not_storable(name, value, "torch.Tensor")
        tensor = cast("Any", value).detach()
        view = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and view in seen:
            tied[name] = seen[view]
            continue
        seen[view] = name
        storage = tensor.untyped_storage().data_ptr()
        stored[name] = tensor.clone().contiguous() if storage in storages else tensor.contiguous()
        storages.add(storage)
    return stored, tied


def _arrays(state: Mapping[str, object]) -> dict[str, object]:
    numpy = import_numpy("mode SAFETENSORS without torch")
    for name, value in state.items():
        if not isinstance(value, numpy.ndarray):
            raise _not_storable(name, value, "numpy.ndarray")
    return {name: numpy.asarray(value, order="C") for name, value in state.items()}


def _not_storable(name: str, value: object, wanted: str) -> TypeError:
    return TypeError(
        f"state_dict()[{name!r}] is a {type(value).__name__}, not a {wanted}, and safetensors files hold "
        f"tensors of one kind alone: use mode=PolicyPersistence.Mode.POLICY_STATE_DICT or POLICY"
    )


def _library(kind: str) -> Any:
    try:
        return import_module(f"safetensors.{kind}")
    except ModuleNotFoundError as error:
        if error.name != "safetensors":
            raise
        raise MissingLibraryError("mode SAFETENSORS", "safetensors", "safetensors") from error
