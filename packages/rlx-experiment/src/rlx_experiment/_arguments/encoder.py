"""Any Python value as JSON that every JSON parser reads."""

import enum
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, Final, cast

from rlx_experiment import _atomic

_LARGE_ARRAY: Final = 10_000
"""Arrays with more elements are recorded by shape, type and digest only."""


class LogEncoder(json.JSONEncoder):
    """JSON encoder for anything an experiment may be called with; for use as ``cls`` in `json.dump`.

    Values that JSON knows stay themselves (NumPy's included, integers exactly). The others become one-key markers:
    ``{"$typename": "module.Class"}`` for a class, ``$enum`` for a member, ``$function`` for a callable, ``$bytes``
    (base64), ``$float`` for what JSON cannot hold (nan and infinities), ``$circular`` where a value contains itself.
    Any other object becomes ``{"$type": "module.Class", **attributes}``. Paths are strings, tuples and sets are lists.
    """

    def default(self, o: object) -> Any:
        """Return `o`, one level deep, in terms of simpler values."""
        return _describe(o)

    def encode(self, o: object) -> str:
        """Return `o` as a JSON text."""
        return super().encode(self._plain(o))

    def iterencode(self, o: object, _one_shot: bool = False) -> Any:
        """Yield the JSON text of `o` in pieces."""
        return super().iterencode(self._plain(o), _one_shot)

    def _plain(self, value: object) -> Any:
        if not self.allow_nan:  # then json itself refuses them, as it promises
            return to_plain(value, self.default, mark_floats=False)
        return to_plain(value, self.default)


def dump_json(filename: str | Path, data: object) -> None:
    """Write `data` as JSON (indented by two) to `filename`, whole or not at all; folders are made as needed."""
    path = Path(filename)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, data)


def write_json(path: Path, data: object, *, durable: bool = False) -> None:
    """Replace the file `path`, in a folder that exists, by `data` as JSON."""
    text = json.dumps(data, indent=2, cls=LogEncoder) + "\n"
    _atomic.write_bytes(path, text.encode(), durable=durable)


def to_plain(
    value: object, describe: Callable[[object], object] | None = None, *, mark_floats: bool = True
) -> Any:
    """Return `value` in terms of None, bool, int, float, str, list and dict, as `LogEncoder` does."""
    return _Plainer(describe or _describe, mark_floats=mark_floats).plain(value)


class _Plainer:
    """One walk over one value; remembers the containers it is inside of."""

    def __init__(self, describe: Callable[[object], object], *, mark_floats: bool) -> None:
        self._describe = describe
        self._mark_floats = mark_floats
        self._inside: set[int] = set()

    def plain(self, value: object) -> Any:
        value = _from_numpy(value)
        if type(value) is float and self._mark_floats and not math.isfinite(value):
            return {"$float": str(value)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        if id(value) in self._inside:
            return {"$circular": _name_of(type(value))}
        self._inside.add(id(value))
        try:
            return self._container(value)
        finally:
            self._inside.discard(id(value))

    def _container(self, value: object) -> Any:
        if isinstance(value, enum.Enum):
            return self._describe(value)
        if isinstance(value, Mapping):
            entries = cast("Mapping[object, object]", value)
            return {_key(k): self.plain(v) for k, v in entries.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(v) for v in cast("Iterable[object]", value)]
        if isinstance(value, (set, frozenset)):
            return [self.plain(v) for v in sorted(cast("Iterable[object]", value), key=repr)]
        if isinstance(value, (int, str, float)):  # subclasses, as json writes them
            return value
        return self.plain(self._describe(value))


def _describe(value: object) -> object:
    if isinstance(value, type):
        return {"$typename": _name_of(value)}
    if isinstance(value, enum.Enum):
        return {"$enum": f"{_name_of(type(value))}.{value.name}"}
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64

        return {"$bytes": base64.b64encode(cast("bytes", value)).decode()}
    if callable(value):
        function: Any = value
        try:
            return {"$function": f"{function.__module__}.{function.__qualname__}"}
        except AttributeError:  # an object with __call__
            pass
    return {"$type": _name_of(type(value)), **_attributes(value)}


def _attributes(value: object) -> dict[str, object]:
    """Return what `value` holds, in ``__dict__`` and in slots."""
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    held = {name: getattr(value, name) for name in reversed(slots) if _is_set(value, name)}
    try:
        return held | dict(vars(value))
    except TypeError:
        return held


def _slots(kind: type) -> list[str]:
    """Return the names of the slots that a class written in Python declares, the last first."""
    declared: Any = vars(kind).get("__slots__", ())
    names = [declared] if isinstance(declared, str) else list(declared)
    return [name for name in reversed(names) if not name.startswith("__")]


def _is_set(value: object, name: str) -> bool:
    try:
        getattr(value, name)
    except AttributeError:
        return False
    return True


def _from_numpy(value: object) -> object:
    """Return a scalar or array of NumPy, or a tensor, as Python values, without importing what nobody did."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return _from_tensor(value)
    if numpy is None:
        return value
    if isinstance(value, numpy.generic):
        item = cast("Any", value).item()
        return float(cast("Any", value)) if isinstance(item, numpy.generic) else item
    if isinstance(value, numpy.ndarray):
        array = cast("Any", value)
        if array.size <= _LARGE_ARRAY:
            return array.tolist()
        return {
            "$type": "numpy.ndarray",
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "sha256": None if array.dtype.hasobject else _digest(array),
        }
    return value


def _from_tensor(tensor: Any) -> object:
    if tensor.is_meta or tensor.is_sparse or tensor.numel() > _LARGE_ARRAY:
        return {"$type": "torch.Tensor", "shape": list(tensor.shape), "dtype": str(tensor.dtype)}
    return tensor.tolist()


def _digest(array: Any) -> str:
    """Return what tells the content of an array from another."""
    import hashlib

    return hashlib.sha256(array.tobytes()).hexdigest()


def _key(key: object) -> str:
    return key if type(key) is str else str(_from_numpy(key))


def _name_of(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
