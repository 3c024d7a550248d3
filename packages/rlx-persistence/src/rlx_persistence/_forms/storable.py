"""What a safetensors file holds of a state dict: each tensor once, in a dtype of the format, the others refused by key."""

import math
from collections.abc import Mapping
from typing import Any, Final, cast

from rlx_persistence._arrays import dtype_name, is_array
from rlx_persistence._optional import import_numpy, import_torch, is_tensor

DTYPES: Final[Mapping[str, str]] = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ",
    "float8_e8m0fnu": "F8_E8M0",
    "float4_e2m1fn_x2": "F4",
    "complex64": "C64",
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
DIGEST_KEY: Final = "rlx.xxh3_128"
RECORD_KEY: Final = "rlx.record"
_TAKEN: Final = {"__metadata__", DIGEST_KEY, RECORD_KEY}
_OTHER_MODES: Final = "use mode=PolicyPersistence.Mode.POLICY_STATE_DICT or POLICY"


def storable(state: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what is to be stored, widest elements first so that each begins aligned, and the names of tied tensors.

    Raises:
        TypeError: If a key is no text, or a value neither all tensors nor all arrays that the format can hold.
    """
    for name in state:
        _refuse_key(name)
    stored, tied = (
        _tensors(state) if any(is_tensor(value) for value in state.values()) else (_arrays(state), {})
    )
    for name, value in stored.items():
        if dtype_name(value) not in DTYPES:
            raise TypeError(
                f"{_entry(name)} has dtype {value.dtype}, which the safetensors format has no name for: {_OTHER_MODES}"
            )
    widths = {name: value.nbytes // max(1, math.prod(value.shape)) for name, value in stored.items()}
    return dict(sorted(stored.items(), key=lambda item: -widths[item[0]])), tied


def stored_shape(name: str, value: Any) -> list[int]:
    """Return the shape as the format counts it: two elements a byte for four-bit floats."""
    shape = list(value.shape)
    if dtype_name(value) == "float4_e2m1fn_x2":
        if not shape:
            raise TypeError(f"{_entry(name)} is a pair of four-bit floats without a dimension: give it one")
        shape[-1] *= 2
    return shape


def _entry(name: object) -> str:
    return f"state_dict()[{name!r}]"


def _refuse_key(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(
            f"the key {name!r} of the state dict must be text in a safetensors file, not a {type(name).__name__}: "
            f"use str({name!r})"
        )
    if name in _TAKEN:
        raise TypeError(f"the key {name!r} of the state dict is taken in a safetensors file: rename it")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise TypeError(f"the key {name!r} of the state dict is no valid Unicode text: rename it") from error


def _tensors(state: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """Tensors that share no memory, and the names of those that are the same as others."""
    stored: dict[str, Any] = {}
    tied: dict[str, str] = {}
    seen: dict[tuple[object, ...], str] = {}
    storages: set[int] = set()
    for name, value in state.items():
        tensor = _plain_tensor(name, value)
        view = view_of(tensor)
        if view in seen:
            tied[name] = seen[view]
            continue
        if view is not None:
            seen[view] = name
        storage = tensor.untyped_storage().data_ptr()
        stored[name] = tensor.clone().contiguous() if storage in storages else tensor.contiguous()
        storages.add(storage)
    return stored, tied


def view_of(tensor: Any) -> tuple[object, ...] | None:
    """Return what is the same for tied tensors alone; None for an empty tensor, which has no memory."""
    if not tensor.numel():
        return None
    return (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())


def _plain_tensor(name: str, value: object) -> Any:
    """Return the tensor without its history and with its values written out."""
    torch = import_torch("mode SAFETENSORS")
    if not is_tensor(value):
        raise _not_storable(name, f"a {type(value).__name__}, not a torch.Tensor")
    tensor = cast("Any", value)
    if torch.nn.parameter.is_lazy(tensor):
        raise _not_storable(name, "a parameter that is not initialised: call the policy once")
    if tensor.device.type == "meta":
        raise _not_storable(name, "on the device 'meta' and has no values")
    tensor = tensor.detach()
    if type(tensor) is not torch.Tensor:
        raise _not_storable(name, f"a {type(tensor).__name__}, which is more than its values")
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        kind = "quantized" if tensor.is_quantized else "nested" if tensor.is_nested else str(tensor.layout)
        raise _not_storable(name, f"{kind}, not a dense tensor")
    return tensor.resolve_conj().resolve_neg()


def _arrays(state: Mapping[str, object]) -> dict[str, Any]:
    numpy = import_numpy("mode SAFETENSORS without torch")
    arrays: dict[str, Any] = {}
    for name, value in state.items():
        if not is_array(value):
            raise _not_storable(name, f"a {type(value).__name__}, not a numpy.ndarray")
        if isinstance(value, numpy.ndarray) and type(value) not in {numpy.ndarray, numpy.memmap}:
            raise _not_storable(name, f"a {type(value).__name__}, which is more than its values")
        array = numpy.asarray(value)
        arrays[name] = numpy.asarray(array.astype(array.dtype.newbyteorder("="), copy=False), order="C")
    return arrays


def _not_storable(name: str, what: str) -> TypeError:
    return TypeError(
        f"{_entry(name)} is {what}; safetensors files hold plain tensors of one library alone: {_OTHER_MODES}"
    )
