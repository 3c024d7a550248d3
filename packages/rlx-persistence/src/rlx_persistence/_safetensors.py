"""State dicts as safetensors files: nothing executable in them, readable from any language.

The digest stands in the header's metadata and is taken over the whole file with a
placeholder in its place. Tied tensors are stored once; the metadata maps each other
name to the stored one, as ``safetensors.torch.save_model`` does it.
"""

import itertools
import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import xxhash

from rlx_persistence._errors import DamagedFileError, MissingLibraryError
from rlx_persistence._optional import TDevice, import_numpy, import_torch, is_tensor

DIGEST_KEY: Final = "rlx.xxh3_128"
RECORD_KEY: Final = "rlx.record"
_PLACEHOLDER: Final = b"0" * 32
DTYPES: Final[Mapping[str, str]] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}


def write_safetensors(state: Mapping[str, object], file: BinaryIO, record: Mapping[str, object]) -> None:
    """Write `state`, whose values are all tensors or all NumPy arrays, and its `record`.

    Tensor by tensor, without the copy of everything that the library's `save` makes.

    Raises:
        TypeError: If a value is something else, or its dtype is unknown to safetensors.
    """
    torch = any(is_tensor(value) for value in state.values())
    _library("torch" if torch else "numpy")  # what could not be read again is not written
    stored, tied = _tensors(state) if torch else _arrays(state)
    metadata = {**tied, RECORD_KEY: json.dumps(record), DIGEST_KEY: _PLACEHOLDER.decode()}
    header = _header(stored, metadata)
    start, digest = file.tell(), xxhash.xxh3_128()
    parts: Iterator[bytes | memoryview] = itertools.chain([header], map(_bytes_of, stored.values()))
    for part in parts:
        digest.update(part)
        file.write(part)
    file.seek(start + _digest_place(header, _PLACEHOLDER))
    file.write(digest.hexdigest().encode())
    file.seek(0, os.SEEK_END)


def _header(stored: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """Length field and JSON header of `stored`, whose data follow one another in its order."""
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, value in stored.items():
        start, end = end, end + value.nbytes
        dtype = DTYPES.get(_dtype_name(value))
        if dtype is None:
            raise TypeError(f"state_dict()[{name!r}] has dtype {value.dtype}, which safetensors do not know")
        entries[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # data begin aligned
    return len(text).to_bytes(8, "little") + text


def _dtype_name(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _bytes_of(value: Any) -> memoryview:
    if is_tensor(value):
        torch = import_torch("mode SAFETENSORS")
        value = value.cpu().flatten().view(torch.uint8).numpy()
    flat: memoryview = memoryview(value.reshape(-1)).cast("B")
    return flat


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


def _tensors(state: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors that share no memory, and the names of those that are others' twins."""
    stored: dict[str, Any] = {}
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
    return _widest_first(stored), tied


def _widest_first(stored: dict[str, Any]) -> dict[str, Any]:
    """Sort by the size of the elements, so that each begins aligned."""
    widths = {name: value.nbytes // max(1, math.prod(value.shape)) for name, value in stored.items()}
    return dict(sorted(stored.items(), key=lambda item: -widths[item[0]]))


def _arrays(state: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    numpy = import_numpy("mode SAFETENSORS without torch")
    for name, value in state.items():
        if not isinstance(value, numpy.ndarray):
            raise _not_storable(name, value, "numpy.ndarray")
    arrays: Mapping[str, Any] = state
    native = {name: value.astype(value.dtype.newbyteorder("="), copy=False) for name, value in arrays.items()}
    return _widest_first({name: numpy.asarray(value, order="C") for name, value in native.items()}), {}


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
