"""States that ``torch.load(weights_only=True)`` reads again: made plain where no bit is lost, else refused by key."""

import io
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

from rlx_persistence._arrays import is_array, tensor_of
from rlx_persistence._optional import import_torch, is_tensor

_USED_BY: Final = "mode POLICY_STATE_DICT"
_Place: TypeAlias = "tuple[str, object]"  # how a message names it, and what stands there


def plain_state(state: Mapping[str, object]) -> Mapping[str, object]:
    """Return `state` with NumPy's scalars as Python's numbers and the arrays of its first level as tensors.

    Raises:
        TypeError: If it holds what ``weights_only=True`` would refuse to read again; the key is named.
    """
    tensors = {key: _as_tensor(key, value) for key, value in state.items() if is_array(value)}
    if tensors:
        state = _replaced(state, {**state, **tensors})
    plain = cast("Mapping[str, object]", _plain(state))
    _refuse_unreadable(plain)
    return plain


def _as_tensor(key: str, value: object) -> object:
    try:
        return tensor_of(value)
    except TypeError as error:
        raise TypeError(f"{_entry('state_dict()', key)} is {error}: use another mode or dtype") from error


def _plain(value: object) -> object:
    """Return `value` with NumPy's scalars made Python's own; the very object where there are none."""
    if type(value) in {dict, OrderedDict}:
        items = cast("dict[object, object]", value)
        made = {_plain(key): _plain(item) for key, item in items.items()}
        pairs = zip(made.items(), items.items(), strict=True)
        changed = any(new[0] is not old[0] or new[1] is not old[1] for new, old in pairs)
        return _replaced(items, made) if changed else value
    if type(value) in {list, tuple}:
        entries = cast("list[object] | tuple[object, ...]", value)
        listed = [_plain(item) for item in entries]
        changed = any(new is not old for new, old in zip(listed, entries, strict=True))
        return type(entries)(listed) if changed else value
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    numpy = sys.modules.get("numpy")
    if numpy is None or not isinstance(value, numpy.generic):
        return value
    number: object = cast("Any", value).item()
    # A long double, a date or a record would lose something: these stay, and are refused.
    return number if type(number) in {bool, int, float, complex, str, bytes} else value


def _replaced(old: Mapping[Any, object], content: Mapping[Any, object]) -> Mapping[Any, object]:
    """Return `content` in a mapping of the type of `old`, with its attributes (torch keeps versions of modules there)."""
    if not isinstance(old, OrderedDict):
        return content
    new = OrderedDict(content)
    vars(new).update(vars(cast("object", old)))
    return new


def _refuse_unreadable(state: Mapping[str, object]) -> None:
    """Load the state back without the values of its tensors, and name the entry that stands in the way."""
    torch = import_torch(_USED_BY)
    for where, value in _places(state, "state_dict()"):
        if is_tensor(value) and cast("Any", value).device.type == "meta":
            raise TypeError(
                f"{where} has no values: it is on the device 'meta'. Give it memory and values first"
            )
    if _is_readable(_skeleton(state, torch), torch):
        return
    for where, value in _places(state, "state_dict()"):
        if not _is_readable(_skeleton(value, torch), torch):
            raise TypeError(
                f"{where} is {_described(value)}, which loading with weights_only=True refuses: make it a tensor "
                f"or one of Python's plain types, or use mode=PolicyPersistence.Mode.POLICY"
            )
    raise TypeError(
        f"state_dict() is a {type(state).__name__} that loading with weights_only=True refuses: return a dict"
    )


def _described(value: object) -> str:
    if is_tensor(value):
        return f"a {type(value).__name__} of {cast('Any', value).dtype} and {cast('Any', value).layout}"
    return f"a {type(value).__name__}"


def _places(value: object, where: str) -> Iterator[_Place]:
    """Yield what stands at the leaves of the tree, innermost first: keys too, and containers of other types."""
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[object, object]", value).items():
            if type(key) is not str:
                yield f"{where}: the key {key!r}", key
            yield from _places(item, _entry(where, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _places(item, f"{where}[{index}]")
    yield where, value


def _entry(where: str, key: object) -> str:
    return f"{where}[{key!r}]"


def _skeleton(value: object, torch: Any) -> object:
    """Return `value` without what its plain tensors hold; a reader that takes this takes the whole."""
    if type(value) in {dict, OrderedDict}:
        items = cast("dict[object, object]", value)
        return _replaced(items, {key: _skeleton(item, torch) for key, item in items.items()})
    if type(value) in {list, tuple}:
        entries = cast("list[object] | tuple[object, ...]", value)
        return type(entries)([_skeleton(item, torch) for item in entries])
    plain = type(value) in {torch.Tensor, torch.nn.Parameter} and cast("Any", value).layout is torch.strided
    if not plain or cast("Any", value).is_quantized or torch.nn.parameter.is_lazy(value):
        return value
    return torch.empty(0, dtype=cast("Any", value).dtype)


def _is_readable(value: object, torch: Any) -> bool:
    """Whether the value comes back as the type that it is."""
    file = io.BytesIO()
    load: Callable[..., object] = torch.load
    try:
        torch.save(value, file)
        file.seek(0)
        return type(load(file, map_location="cpu", weights_only=True)) is type(value)
    except Exception:  # noqa: BLE001 - whatever it is that torch cannot do with it, the caller says where
        return False
