"""How torch tensors are written: each storage once, as one buffer, and tensors as views of it.

Tied parameters, views and an optimiser's references alias again after loading
and cost no bytes. Only public functions of torch are named in the file.
"""

import collections
import functools
import importlib
import operator
import pickle
import sys
import warnings
from collections.abc import Callable
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, class_of, method
from rlx_snapshot._pickling.tensor_extras import with_extras

_AS_STORAGE: Final = method("untyped_storage")
_GRADIENTS_ON: Final = method("requires_grad_", True)
_DEVICES: Final = frozenset({"cpu", "cuda"})


class TorchReducers:
    """The reducers of one dump, which write what they use over and over only once."""

    def __init__(self) -> None:
        self._torch: Any = sys.modules["torch"]
        self._module = Call(importlib.import_module, "torch")
        self._bytes = self._torch.uint8
        # As `methodcaller` writes itself where there are named arguments, but once for all storages.
        self._from_buffer = functools.partial(operator.methodcaller, "frombuffer", dtype=self._bytes)
        self._empty: dict[Any, Callable[..., object]] = {}
        self._to_device: dict[Any, Callable[..., object]] = {}

    def __call__(self, cls: type) -> Reducer | None:
        """The reducer for exactly this class, None where torch's own will do."""
        if cls is self._torch.Tensor:
            return with_extras(self._tensor)
        if cls is self._torch.nn.Parameter:
            return with_extras(self._parameter)
        if cls is self._torch.UntypedStorage:
            return self._storage
        return None

    def _tensor(self, tensor: Any) -> Reduced:
        if not _is_plain(tensor):
            return tensor.__reduce_ex__(5)  # type: ignore[no-any-return]
        storage = tensor.untyped_storage()
        view = method("set_", storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
        base = self._empty_like(tensor, storage)
        if tensor.requires_grad:
            return _GRADIENTS_ON, (Call(view, base),)
        return view, (base,)

    def _parameter(self, parameter: Any) -> Reduced:
        if not _is_plain(parameter):
            return parameter.__reduce_ex__(5)  # type: ignore[no-any-return]
        return class_of(parameter), (parameter.data, parameter.requires_grad)

    def _empty_like(self, tensor: Any, storage: Any) -> Call:
        empty = self._empty_of(tensor.dtype)
        if tensor.device.type == "cpu":
            return empty
        return Call(method("to", Call(operator.attrgetter("device"), storage)), empty)

    def _storage(self, storage: Any) -> Reduced:
        device = storage.device
        if device.type not in _DEVICES:
            return storage.__reduce_ex__(5)  # type: ignore[no-any-return]
        if storage.nbytes() == 0:
            loaded = self._empty_of(self._bytes)
        else:
            contents = self._torch.empty(0, dtype=self._bytes, device=device).set_(storage)
            loaded = Call(Call(self._from_buffer, pickle.PickleBuffer(contents.cpu().numpy())), self._module)
        if device.type != "cpu":
            loaded = Call(self._moved_to(device), loaded)
        return _AS_STORAGE, (loaded,)

    def _empty_of(self, dtype: Any) -> Call:
        if dtype not in self._empty:
            self._empty[dtype] = operator.methodcaller("empty", 0, dtype=dtype)
        return Call(self._empty[dtype], self._module)

    def _moved_to(self, device: Any) -> Any:
        if device not in self._to_device:
            self._to_device[device] = method("to", self._available(device))
        return self._to_device[device]

    def _available(self, device: Any) -> Call:
        """`device` where the loading machine has it; None, which leaves tensors on the CPU, with a warning."""
        msg = f"tensors saved on {device} were loaded on the CPU: this machine has no such device"
        choice = Call(collections.defaultdict, functools.partial(warnings.warn, msg), {True: str(device)})
        present = Call(operator.gt, Call(self._torch.cuda.device_count), device.index or 0)
        return Call(operator.getitem, choice, present)


def _is_plain(tensor: Any) -> bool:
    """Whether storage, offset, shape and strides say all there is to know."""
    return (
        tensor.device.type in _DEVICES
        and tensor.layout is sys.modules["torch"].strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
        and not vars(tensor)
        and tensor.is_leaf
    )
