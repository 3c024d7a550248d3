"""Objects that only refer to their contents, in a file, a shared block or another process.

A pickle of such an object says where the contents lie, and loads with whatever is
there by then. So the contents themselves are written, or the object is refused.
"""

import importlib
import operator
import sys
from typing import Any, Final

from rlx_snapshot._pickling.calls import Call, Reduced, Reducer, RefusedError, built_then, class_of, method

_PLACES: Final = {
    (
        "multiprocessing",
        "BaseProxy",
    ): "its contents live in a Manager's process; save a copy, such as dict(proxy)",
    (
        "multiprocessing",
        "_ConnectionBase",
    ): "it is one end of a pipe to another process; leave it out of the state",
    ("tempfile", "TemporaryDirectory"): "its files are no part of the state; save their contents",
    ("dbm", "_Database"): "its items lie in files; save dict(database)",
    ("shelve", "Shelf"): "its items lie in a file; save dict(shelf)",
    ("diskcache", "Cache"): "its items lie in a directory; save them as a dict",
    ("diskcache", "FanoutCache"): "its items lie in a directory; save them as a dict",
    ("diskcache", "Deque"): "its items lie in a directory; save list(deque)",
    ("diskcache", "Index"): "its items lie in a directory; save dict(index)",
    ("zarr", "Store"): "its chunks lie outside the program; save the arrays read from it, such as array[:]",
    ("tensordict", "PersistentTensorDict"): "its tensors lie in an HDF5 file; save to_tensordict()",
    ("pyarrow", "Dataset"): "its rows lie in files; save the table, to_table()",
    ("datasets", "MemoryMappedTable"): "its rows lie in a file; save them in memory",
    ("pandas", "HDFStore"): "its tables lie in a file; save the frames read from it",
    ("xarray", "CachingFileManager"): "its arrays lie in a file; load() them first",
    ("ray", "BaseID"): "its value lies in Ray's object store; save ray.get(reference)",
    ("ray", "ActorHandle"): "its state lives in another process; save what the actor returns of it",
}
_IN_MEMORY: Final = frozenset({"MemoryStore", "KVStore"})


def reference_reducer(cls: type) -> Reducer | None:
    """The reducer for instances of this class, None where it holds its contents itself."""
    for base in cls.__mro__:
        key = (base.__module__.partition(".")[0], base.__name__)
        if key in _CONTENTS:
            return _CONTENTS[key]
        if key in _PLACES and cls.__name__ not in _IN_MEMORY:
            return _refused(_PLACES[key])
    return None


def _refused(reason: str) -> Reducer:
    def refuse(reference: object) -> Reduced:
        msg = f"{type(reference).__name__} only refers to its contents: {reason}"
        raise RefusedError(msg)

    return refuse


def _shared_memory(memory: Any) -> Reduced:
    """A block of its own with the same bytes: the old name leads to what is in the old block by then."""
    if class_of(memory).__module__ != "multiprocessing.shared_memory":
        msg = f"{type(memory).__name__} only refers to its contents: save bytes(memory.buf)"
        raise RefusedError(msg)
    if memory.buf is None:
        raise RefusedError("SharedMemory that is closed has no contents: leave it out of the state")
    contents = bytes(memory.buf)
    fill = Call(operator.setitem, Call(_BUFFER, memory), slice(0, len(contents)), contents)
    return built_then(class_of(memory), (None, True, len(contents)), [fill])


def _shareable_list(shared: Any) -> Reduced:
    return class_of(shared), (list(shared),)


def _value(shared: Any) -> Reduced:
    held = shared.get_obj()
    return method("Value", class_of(held), held.value), (_MULTIPROCESSING,)


def _array(shared: Any) -> Reduced:
    held = shared.get_obj()
    element: object = vars(class_of(held))["_type_"]
    return method("Array", element, list(held)), (_MULTIPROCESSING,)


def _mapped_tensor(tensor: Any) -> Reduced:
    """A mapped tensor that has a file of its own, without a name, which the system removes."""
    torch: Any = sys.modules["torch"]
    if tensor.is_nested or tensor.is_complex():
        msg = "MemoryMappedTensor, where nested or complex, only refers to its contents: save tensor.clone()"
        raise RefusedError(msg)
    cls: Any = class_of(tensor)
    return cls.from_tensor, (tensor.as_subclass(torch.Tensor).contiguous(),)


_BUFFER: Final = operator.attrgetter("buf")
_MULTIPROCESSING: Final = Call(importlib.import_module, "multiprocessing")
_CONTENTS: Final[dict[tuple[str, str], Reducer]] = {
    ("multiprocessing", "SharedMemory"): _shared_memory,
    ("multiprocessing", "ShareableList"): _shareable_list,
    ("multiprocessing", "Synchronized"): _value,
    ("multiprocessing", "SynchronizedArray"): _array,
    ("tensordict", "MemoryMappedTensor"): _mapped_tensor,
}
