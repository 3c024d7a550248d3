"""Whole objects: torch modules as torch writes them, everything else as plain pickles."""

import os
import pickle
import pickletools
import sys
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from rlx_persistence._errors import DamagedFileError
from rlx_persistence._optional import TDevice, import_torch, is_module, is_tensor
from rlx_persistence._seal import ZIP_HEAD, SealingFile


def write_object(value: object, file: SealingFile) -> None:
    """Write `value` whole: with ``torch.save`` what holds tensors, as a plain pickle everything else.

    Functions that no module knows by name (equinox's modules have some) are written by cloudpickle.
    """
    if is_module(value):
        import_torch("a torch policy").save(value, file)
        return
    try:
        _pickle(value, file)
    except _HoldsTensorsError:
        file.restart()
        import_torch("a torch policy").save(value, file, pickle_protocol=5)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        file.restart()
        _import_cloudpickle(error).dump(value, file, protocol=5)


class _HoldsTensorsError(Exception):
    """Plain pickles of tensors load on no other device, and those of some dtypes not at all."""


class _TensorFinder(pickle.Pickler):
    def reducer_override(self, value: object) -> Any:
        if is_tensor(value):
            raise _HoldsTensorsError
        return NotImplemented


def _pickle(value: object, file: SealingFile) -> None:
    pickler = _TensorFinder if "torch" in sys.modules else pickle.Pickler
    pickler(file, protocol=5).dump(value)


def _import_cloudpickle(error: Exception) -> Any:
    try:
        return import_module("cloudpickle")
    except ModuleNotFoundError:
        error.add_note(
            "functions without a name of their own need cloudpickle: pip install 'rlx-persistence[cloudpickle]'"
        )
        raise error from None


def read_object(path: str | os.PathLike[str], device: TDevice) -> Any:
    """Read a whole object. This executes code that the file names.

    Raises:
        DamagedFileError: If the file ends early or is no pickle at all.
    """
    try:
        if is_archive(path):
            return load_archive(path, device, weights_only=False)
        with Path(path).open("rb") as file:
            return pickle.load(file)
    except (AttributeError, ImportError) as error:
        error.add_note(
            f"{os.fspath(path)} names a class that is no longer where it was; "
            f"files of mode POLICY_STATE_DICT survive such changes"
        )
        raise
    except (EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error


def load_archive(
    path: str | os.PathLike[str], device: TDevice, *, weights_only: bool, mapped: bool = False
) -> Any:
    """Read with ``torch.load``.

    Raises:
        DamagedFileError: If torch cannot make sense of the file.
    """
    torch = import_torch(f"{os.fspath(path)}, a file of torch.save,")
    try:
        return torch.load(path, map_location=device, weights_only=weights_only, mmap=mapped)
    except RuntimeError as error:
        if any(sign in str(error) for sign in ("PytorchStreamReader", "enforce fail")):
            raise DamagedFileError(path, str(error).splitlines()[0]) from error
        raise  # a device that is not there, say


def is_archive(path: str | os.PathLike[str]) -> bool:
    """Whether the file is a zip archive, as ``torch.save`` writes."""
    with Path(path).open("rb") as file:
        return file.read(len(ZIP_HEAD)) == ZIP_HEAD


def holds_mapping(path: str | os.PathLike[str]) -> bool:
    """Whether the pickled object is a dict: seen from its first opcodes, executing none.

    Raises:
        DamagedFileError: If the file is neither a pickle nor an archive with one.
    """
    try:
        return _begins_with_dict(_pickle_in(path))
    except (ValueError, IndexError, zipfile.BadZipFile) as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error


def _begins_with_dict(pickled: bytes) -> bool:
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name in {"EMPTY_DICT", "DICT"}:
            return True
        if opcode.name == "GLOBAL":
            return argument == "collections OrderedDict"
        if opcode.name not in {"PROTO", "FRAME", "MARK"}:
            return False
    return False


def _pickle_in(path: str | os.PathLike[str]) -> bytes:
    if not is_archive(path):
        with Path(path).open("rb") as file:
            return file.read(4096)
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        return archive.read(name)
