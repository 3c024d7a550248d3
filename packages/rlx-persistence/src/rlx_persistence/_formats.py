"""What each persistence mode writes and how it restores: one line per mode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rlx_persistence._errors import PolicyNotFoundError, WrongModeError
from rlx_persistence._files import read_info, write_sealed, write_tensors
from rlx_persistence._forms.pickled import holds_mapping, read_object, write_object
from rlx_persistence._forms.safetensors import read_safetensors
from rlx_persistence._forms.state_dicts import read_state_dict, write_state_dict
from rlx_persistence._in_place import copy_state
from rlx_persistence._jax import is_tree
from rlx_persistence._offers import state_dict_of
from rlx_persistence._optional import TDevice, is_module, is_tensor
from rlx_persistence._record import PolicyInfo
from rlx_persistence._restoring import load_state


@dataclass(frozen=True)
class PolicyFormat:
    """File name, writer and reader of one mode, and how messages call the mode and its content."""

    filename: str
    name: str
    holds: str
    write: Callable[[object, str, PolicyInfo], None]
    restore: Callable[[object, str, TDevice], None]


def restore_policy(kind: str, policy: object, path: str, device: TDevice) -> None:
    """Bring the file `path` of mode `kind` into `policy`, wholly or not at all.

    Raises:
        PolicyNotFoundError: If there is no such file; files of other modes are named.
        DamagedFileError: If the file is not what was written.
        WrongModeError: If the file was written in another mode.
        PolicyMismatchError: If it does not fit the policy.
    """
    if not Path(path).exists():
        raise PolicyNotFoundError(path, _other_modes(kind, Path(path).parent))
    info = read_info(path)
    if info is not None and info.kind != kind and info.kind in FORMATS:
        raise WrongModeError(path, FORMATS[info.kind].holds, FORMATS[info.kind].name)
    FORMATS[kind].restore(policy, path, device)


def _other_modes(kind: str, folder: Path) -> list[str]:
    return [
        f"{other.filename} (mode={other.name})"
        for value, other in FORMATS.items()
        if value != kind and (folder / other.filename).exists()
    ]


def _write_whole(policy: object, path: str, info: PolicyInfo) -> None:
    write_sealed(path, info, lambda file: write_object(policy, file))


def _restore_whole(policy: object, path: str, device: TDevice) -> None:
    if is_module(policy) and holds_mapping(path):
        raise WrongModeError(path, FORMATS["policy_state_dict"].holds, FORMATS["policy_state_dict"].name)
    loaded = read_object(path, device)
    # A module keeps what is its structure: its parameters as objects, and its functions.
    state = state_dict_of(loaded) if is_module(policy) or _is_jax_module(policy, loaded) else None
    if state is None:
        copy_state(loaded, policy, path)
    else:
        load_state(policy, state, path)


def _is_jax_module(policy: object, loaded: object) -> bool:
    return is_tree(policy) and type(loaded) is type(policy) and not isinstance(policy, dict | list | tuple)


def _write_state_dict(policy: object, path: str, info: PolicyInfo) -> None:
    state = _state_dict(policy)
    write_sealed(path, info, lambda file: write_state_dict(state, file))


def _restore_state_dict(policy: object, path: str, device: TDevice) -> None:
    # A module copies its tensors. What others keep, or is nested (an optimiser's state), must not hang on the file.
    state = read_state_dict(path, device, mapped=is_module(policy))
    if is_module(policy) and not all(is_tensor(value) for value in state.values()):
        state = read_state_dict(path, device, mapped=False)
    load_state(policy, state, path)


def _write_safetensors(policy: object, path: str, info: PolicyInfo) -> None:
    write_tensors(path, info, _state_dict(policy))


def _restore_safetensors(policy: object, path: str, device: TDevice) -> None:
    torch = any(is_tensor(value) for value in _state_dict(policy).values())
    load_state(policy, read_safetensors(path, device, torch=torch), path)


def _state_dict(policy: object) -> Mapping[str, object]:
    state = state_dict_of(policy)
    if state is None:
        raise TypeError(
            f"{type(policy).__name__} has no state_dict(): "
            f"use mode=PolicyPersistence.Mode.POLICY, which takes any picklable policy"
        )
    return state


FORMATS: Final[Mapping[str, PolicyFormat]] = {
    "policy_state_dict": PolicyFormat(
        "policy_state_dict.pt", "POLICY_STATE_DICT", "a state dict", _write_state_dict, _restore_state_dict
    ),
    "policy": PolicyFormat("policy.pt", "POLICY", "a whole policy", _write_whole, _restore_whole),
    "policy_safetensors": PolicyFormat(
        "policy.safetensors", "SAFETENSORS", "safetensors", _write_safetensors, _restore_safetensors
    ),
}
