"""State dicts in torch's own file form, read with ``weights_only=True``."""

import os
import pickle
from collections.abc import Mapping
from typing import Any, cast

from rlx_persistence._errors import DamagedFileError, WrongModeError
from rlx_persistence._optional import TDevice, import_torch, is_tensor
from rlx_persistence._pickled import holds_mapping, is_archive, load_archive
from rlx_persistence._seal import SealingFile


def write_state_dict(state: Mapping[str, object], file: SealingFile) -> None:
    """Write `state` with ``torch.save``.

    Raises:
        TypeError: If `state` holds what ``weights_only=True`` would refuse to read again.
    """
    torch = import_torch("mode POLICY_STATE_DICT")
    _refuse_unreadable(state, "state_dict()", torch)
    torch.save(state, file)


def read_state_dict(
    path: str | os.PathLike[str], device: TDevice, *, mapped: bool = False
) -> Mapping[str, object]:
    """Read a state dict, executing nothing.

    Args:
        path: A file of ``torch.save``, ours or another's.
        device: Where the tensors are put.
        mapped: Leave tensors in the mapped file; for a state that is copied at once.

    Raises:
        WrongModeError: If the file holds a whole policy.
        DamagedFileError: If it cannot be read.
    """
    try:
        state = load_archive(path, device, weights_only=True, mapped=mapped and is_archive(path))
    except pickle.UnpicklingError as error:
        if not holds_mapping(path):
            raise WrongModeError(path, "a whole policy", "POLICY") from error
        raise
    except EOFError as error:
        raise DamagedFileError(path, f"{type(error).__name__}: {error}") from error
    return cast("Mapping[str, object]", state)


def _refuse_unreadable(value: object, where: str, torch: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            _refuse_unreadable(item, f"{where}[{key!r}]", torch)
    elif isinstance(value, list | tuple | set):
        for index, item in enumerate(cast("list[object]", value)):
            _refuse_unreadable(item, f"{where}[{index}]", torch)
    elif not (is_tensor(value) or _is_plain(value, torch)):
        raise TypeError(
            f"{where} is a {type(value).__name__}, which loading with weights_only=True refuses: "
            f"make it a tensor, or use mode=PolicyPersistence.Mode.POLICY"
        )


def _is_plain(value: object, torch: Any) -> bool:
    plain = (str, bytes, bool, int, float, complex, torch.Size, torch.dtype, torch.device)
    return value is None or isinstance(value, plain)
