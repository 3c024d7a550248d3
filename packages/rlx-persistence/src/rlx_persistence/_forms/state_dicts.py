"""State dicts in torch's own file form, read with ``weights_only=True``."""

import os
import pickle
from collections.abc import Mapping
from typing import cast

from rlx_persistence._errors import DamagedFileError, WrongModeError
from rlx_persistence._forms.pickled import holds_mapping, is_archive, load_archive
from rlx_persistence._forms.plain_states import plain_state
from rlx_persistence._optional import TDevice, import_torch
from rlx_persistence._seal import SealingFile


def write_state_dict(state: Mapping[str, object], file: SealingFile) -> None:
    """Write `state` with ``torch.save``.

    Raises:
        TypeError: If `state` holds what ``weights_only=True`` would refuse to read again.
    """
    import_torch("mode POLICY_STATE_DICT").save(plain_state(state), file)


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
