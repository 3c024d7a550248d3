"""State dicts as safetensors files: nothing executable in them, readable from any language.

The digest stands in the header's metadata and is taken over the whole file with a
placeholder in its place. Tied tensors are stored once; the metadata maps each other
name to the stored one, as ``safetensors.torch.save_model`` does it.
"""

import itertools
import json
import mmap
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import xxhash

from rlx_persistence._arrays import bytes_of, dtype_name
from rlx_persistence._errors import DamagedFileError, MissingLibraryError
from rlx_persistence._forms.storable import DIGEST_KEY, DTYPES, RECORD_KEY, storable, stored_shape
from rlx_persistence._optional import TDevice, import_numpy, is_tensor

_PLACEHOLDER: Final = b"0" * 32


def write_safetensors(state: Mapping[str, object], file: BinaryIO, record: Mapping[str, object]) -> None:
    """Write `state`, whose values are all tensors or all NumPy arrays, and its `record`.

    Tensor by tensor, without the copy of everything that the library's `save` makes.

    Raises:
        TypeError: If a value is something else, or its dtype is unknown to safetensors.
    """
    _import()  # what could not be read again is not written
    stored, tied = storable(state)
    metadata = {**tied, RECORD_KEY: json.dumps(record), DIGEST_KEY: _PLACEHOLDER.decode()}
    header = _header(stored, metadata)
    start, digest = file.tell(), xxhash.xxh3_128()
    for part in itertools.chain([header], map(bytes_of, stored.values())):
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
        dtype, shape = DTYPES[str(dtype_name(value))], stored_shape(name, value)
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # data begin aligned
    return len(text).to_bytes(8, "little") + text


def read_safetensors(path: str | os.PathLike[str], device: TDevice, *, torch: bool) -> dict[str, object]:
    """Read all tensors, tied ones under each of their names.

    Args:
        path: The file.
        device: Where torch tensors are put.
        torch: Whether to return torch tensors; else NumPy arrays.
    """
    safetensors = _import()
    try:
        state = _read_tensors(path, device) if torch else _read_arrays(path)
    except safetensors.SafetensorError as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error
    with Path(path).open("rb") as file:
        metadata = _metadata(_read_header(file))
    if RECORD_KEY not in metadata:  # others note their library there: 'format' ties nothing
        metadata.pop("format", None)
    ties = {name: kept for name, kept in metadata.items() if kept in state and name not in state}
    return state | {name: state[kept] for name, kept in ties.items()}


def _read_tensors(path: str | os.PathLike[str], device: TDevice) -> dict[str, object]:
    state: dict[str, object] = import_module("safetensors.torch").load_file(path, device=str(device))
    return state


def _read_arrays(path: str | os.PathLike[str]) -> dict[str, object]:
    # The library's own reader of arrays takes no eight-bit floats, which JAX has.
    numpy = import_numpy("mode SAFETENSORS without torch")
    names = {kind: name for name, kind in DTYPES.items()}
    state: dict[str, object] = {}
    for name, entry in _import().deserialize(Path(path).read_bytes()):
        try:
            dtype = numpy.dtype(names[entry["dtype"]])
        except (KeyError, TypeError) as error:
            raise TypeError(
                f"{os.fspath(path)} holds {name!r} of dtype {entry['dtype']}, which NumPy does not know here: "
                f"import jax or ml_dtypes first, or restore into a torch policy"
            ) from error
        state[name] = numpy.frombuffer(entry["data"], dtype).reshape(entry["shape"])
    return state


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


def refuse_unreadable(path: str | os.PathLike[str], state: Mapping[str, object]) -> None:
    """Read one entry of each dtype back: an older library may not know all that the format has.

    Raises:
        TypeError: If the installed library cannot read the file of `state`; the key is named.
    """
    torch = any(map(is_tensor, state.values()))
    for name, dtype in {
        dtype_name(value): (name, dtype_name(value)) for name, value in state.items()
    }.values():
        try:
            with _import().safe_open(path, framework="pt" if torch else "np") as opened:
                if torch and name in opened.keys():  # noqa: SIM118 - no mapping; a tied tensor is not in there
                    opened.get_tensor(name)
        except (_import().SafetensorError, AttributeError, KeyError) as error:
            raise TypeError(
                f"state_dict()[{name!r}] has dtype {dtype}, which safetensors {_import().__version__} "
                f"cannot read again: install a later version, or use another mode"
            ) from error


def _import() -> Any:
    try:
        return import_module("safetensors")
    except ModuleNotFoundError as error:
        if error.name != "safetensors":
            raise
        raise MissingLibraryError("mode SAFETENSORS", "safetensors", "safetensors") from error
