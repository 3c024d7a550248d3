"""Rebuilding NumPy arrays and torch tensors from descriptions, every argument checked."""

import functools
import importlib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from rlx_snapshot._inspection.pickle_walker import Named, UnreadablePickleError
from rlx_snapshot._pickling.numpy_arrays import NUMBERS

_PLAIN_TYPE: Final = re.compile(r"[<>|=]?[?biufcmMSUV]\d{0,9}")
_TORCH_TYPE: Final = re.compile(r"(b?float|u?int|complex)(8|16|32|64|128)|bool|float8_\w+")
_CLASSES: Final[Mapping[Named, type[object]]] = {
    Named("builtins", cls.__name__): cls for cls in (list, dict, set, int, float)
}


def named_value(name: Named) -> object:
    """A name that stands for itself: a torch dtype, or a plain builtin class."""
    if name.module == "torch" and _TORCH_TYPE.fullmatch(name.name):
        return vars(importlib.import_module("torch"))[name.name]
    if name in _CLASSES:
        return _CLASSES[name]
    if name in _STANDINS:
        return _STANDINS[name]
    raise UnreadablePickleError(f"it names {name}, which is not plain data")


def _numpy() -> Any:
    return importlib.import_module("numpy")


def _torch() -> Any:
    return importlib.import_module("torch")


class _DType:
    """A NumPy type in the making: its pickled state is understood here, never handed to NumPy."""

    def __init__(self, code: str, state: tuple[Any, ...] | None) -> None:
        self.code = code
        self.state: Sequence[Any] = list(state or ())

    def numpy(self) -> Any:
        """The type itself."""
        order = self.state[1] if len(self.state) > 1 and self.state[1] in "<>" else "|"
        if len(self.state) > 2 and self.state[2] is not None:
            subtype, shape = self.state[2]
            return _numpy().dtype((_type(subtype), shape))
        if len(self.state) > 4 and self.state[3]:
            return self._structured(self.state[3], self.state[4])
        if self.code[-2:] in {"M8", "m8"}:
            unit, count, *_ = self.state[8][1]
            return _numpy().dtype(f"{self.code[-2:]}[{int(count)}{unit.decode()}]")
        plain = _numpy().dtype(self.code)
        return plain if order == "|" else plain.newbyteorder(order)

    def _structured(self, names: tuple[str, ...], fields: Mapping[str, tuple[Any, ...]]) -> Any:
        return _numpy().dtype(
            {
                "names": list(names),
                "formats": [_type(fields[name][0]) for name in names],
                "offsets": [int(fields[name][1]) for name in names],
                "itemsize": int(self.state[5]),
            }
        )


def _dtype(code: Any, _align: object = False, _copy: object = True, *, state: Any = None) -> Any:
    if isinstance(code, _DType):
        return code
    if isinstance(code, dict):  # an aligned structure
        return _laid_out(**cast("dict[str, Any]", code))
    if not isinstance(code, str) or not _PLAIN_TYPE.fullmatch(code):
        raise UnreadablePickleError(f"it holds an array of type {code!r}")
    return _DType(code, state)


def _laid_out(names: list[str], formats: list[Any], offsets: list[int], itemsize: int) -> _DType:
    fields = dict(zip(names, zip(formats, offsets, strict=True), strict=True))
    return _DType("V", (3, "|", None, names, fields, itemsize))


def _type(value: object) -> Any:
    if not isinstance(value, _DType):
        raise UnreadablePickleError("an array has a type that is not one of NumPy's plain ones")
    return value.numpy()


def _ndarray(
    shape: Any, dtype: object, buffer: Any, offset: int = 0, _strides: None = None, order: str = "C"
) -> Any:
    if offset != 0 or order not in {"C", "F"}:
        raise UnreadablePickleError("an array starts inside its buffer")
    return _numpy().ndarray(shape, _type(dtype), memoryview(buffer), 0, None, order)


class _NDArray:
    """Stands for the class where NumPy's own pickles name it."""


def _from_buffer_of_numpy(
    buffer: Any, dtype: object, shape: Any, order: str, axes: tuple[int, ...] | None = None
) -> Any:
    """How NumPy writes a contiguous array with protocol 5; `order` is K where `axes` say how it lies."""
    array = _ndarray(shape, dtype, buffer, order="C" if order == "K" else order)
    return array if axes is None else array.transpose(axes)


def _reconstructed(cls: object, _shape: object, _code: object, *, state: Any = None) -> Any:
    """How NumPy writes an array with other protocols: an empty one that is given version, shape, type, order, bytes."""
    if cls is not _NDArray or state is None:
        raise UnreadablePickleError("it makes an array of a class that is not NumPy's plain one")
    _, shape, dtype, is_fortran, contents = state
    if not isinstance(contents, bytes):
        raise UnreadablePickleError("it holds an array of objects")
    return _ndarray(shape, dtype, bytearray(contents), order="F" if is_fortran else "C")


def _scalar(dtype: object, data: bytes) -> Any:
    return _numpy().frombuffer(data, _type(dtype), 1)[0]


def _number(name: str, value: object) -> Any:
    if not isinstance(value, int | float | complex):
        raise UnreadablePickleError(f"it makes a number of a {type(value).__name__}")
    return operator.attrgetter(name)(_numpy())(value)


def _text(name: str, value: object = "") -> Any:
    if not isinstance(value, str | bytes):
        raise UnreadablePickleError(f"it makes a text of a {type(value).__name__}")
    return operator.attrgetter(name)(_numpy())(value)


def _element(array: Any, key: object) -> Any:
    """A scalar is written as the only element of an array without dimensions."""
    if type(array) is not _numpy().ndarray or key != ():
        raise UnreadablePickleError("it takes an element of something that is not a single NumPy value")
    return array[()]


class _Torch:
    """Stands for the module, which the file imports by name."""


class _Method:
    """A method that the file calls by name: one of the few that rebuild tensors."""

    def __init__(self, name: object, *arguments: Any) -> None:
        if name not in _METHODS:
            raise UnreadablePickleError(f"it calls a method {name!r}")
        self._call = _METHODS[name]
        self._arguments = arguments

    def __call__(self, instance: object) -> object:
        return self._call(instance, *self._arguments)


def _import(name: object) -> _Torch:
    if name != "torch":
        raise UnreadablePickleError(f"it imports {name!r}")
    return _Torch()


def _partial(function: object, *_: object, state: Any) -> Any:
    """``methodcaller`` with named arguments is pickled as a partial of itself."""
    named: dict[str, Any] = state[2]
    if function is not _Method or set(named) != {"dtype"}:
        raise UnreadablePickleError("it prepares a call that rebuilds no tensor")

    def call(*more: Any) -> _Method:
        return _Method(*state[1], *more, named["dtype"])

    return call


def _set(tensor: Any, storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    torch = _torch()
    if type(tensor) is not torch.Tensor or type(storage) is not torch.UntypedStorage:
        raise UnreadablePickleError("a tensor is laid over something that is no storage")
    needed = (
        offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if 0 not in size else 0
    )
    if min((offset, *size, *stride)) < 0 or needed * tensor.element_size() > storage.nbytes():
        raise UnreadablePickleError("a tensor reaches beyond its storage")
    return tensor.set_(storage, offset, size, stride)


def _storage_of(tensor: Any) -> Any:
    if type(tensor) is not _torch().Tensor:
        raise UnreadablePickleError("a storage is taken from something that is no tensor")
    return tensor.untyped_storage()


def _empty(_: object, size: object, dtype: Any) -> Any:
    if size != 0:
        raise UnreadablePickleError("a tensor has no contents")
    return _torch().empty(0, dtype=dtype)


def _from_buffer(_: object, buffer: Any, dtype: Any) -> Any:
    return _torch().frombuffer(bytearray(buffer), dtype=dtype)


def _gradient(tensor: Any, wanted: object) -> Any:
    if type(tensor) is not _torch().Tensor:
        raise UnreadablePickleError("a gradient is asked of something that is no tensor")
    return tensor.requires_grad_(wanted)


def _view(array: Any, dtype: object) -> Any:
    if type(array) is not _numpy().ndarray or _type(dtype).kind not in "mM":
        raise UnreadablePickleError("an array is taken for another type")
    return array.view(_type(dtype))


def _size(numbers: tuple[Any, ...]) -> Any:
    return _torch().Size([operator.index(number) for number in numbers])


def _parameter(data: Any, requires_grad: object) -> Any:
    if type(data) is not _torch().Tensor:
        raise UnreadablePickleError("a parameter is made of something that is no tensor")
    return _torch().nn.Parameter(data, bool(requires_grad))


_METHODS: Final[dict[object, Callable[..., object]]] = {
    "set_": _set,
    "untyped_storage": _storage_of,
    "empty": _empty,
    "frombuffer": _from_buffer,
    "requires_grad_": _gradient,
    "view": _view,
}
_STANDINS: Final[Mapping[Named, object]] = {
    Named("operator", "methodcaller"): _Method,
    Named("numpy", "ndarray"): _NDArray,
}
_NUMPY_HOMES: Final = ("numpy._core", "numpy.core")
ARRAY_MAKERS: Final[Mapping[Named, Callable[..., object]]] = {
    **{Named("numpy", name): functools.partial(_number, name) for name in NUMBERS},
    **{Named("numpy", name): functools.partial(_text, name) for name in ("str_", "bytes_")},
    Named("numpy", "dtype"): _dtype,
    Named("numpy", "ndarray"): _ndarray,
    **{Named(f"{home}.multiarray", "scalar"): _scalar for home in _NUMPY_HOMES},
    **{Named(f"{home}.multiarray", "_reconstruct"): _reconstructed for home in _NUMPY_HOMES},
    **{Named(f"{home}.numeric", "_frombuffer"): _from_buffer_of_numpy for home in _NUMPY_HOMES},
    Named("_operator", "getitem"): _element,
    Named("operator", "methodcaller"): _Method,
    Named("functools", "partial"): _partial,
    Named("importlib", "import_module"): _import,
    Named("torch.nn.parameter", "Parameter"): _parameter,
    Named("torch", "Size"): _size,
}
