"""Which values of two states differ, each by the path that leads to it."""

import re
import sys
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from rlx_runner._checkpoint.attributes import is_tuple, same_class
from rlx_runner._checkpoint.kinds import is_array, kind_of
from rlx_snapshot import UnpicklableStateError, exact_dumps

_PLAIN = (int, float, complex, str, bytes, np.generic, type(None))
_CLOCKS = re.compile(r"time|elapsed|fps|duration", re.IGNORECASE)


def differences(name: str, left: Any, right: Any) -> Iterator[str]:
    """Yield the path of every value that differs; readings of clocks are none."""
    waiting, seen = [(name, left, right)], set[tuple[int, int]]()
    while waiting:
        path, one, other = waiting.pop()
        if one is other or (id(one), id(other)) in seen or _CLOCKS.search(path.rpartition(".")[2]):
            continue
        seen.add((id(one), id(other)))
        if not same_class(one, other):
            yield path
            continue
        mine, theirs = dict(_parts(one)), dict(_parts(other))
        if not mine and not theirs:
            if not same_value(one, other):
                yield path
            continue
        yield from (path + step for step in mine.keys() ^ theirs.keys())
        shared = [step for step in mine if step in theirs]
        if isinstance(one, dict) and shared != [step for step in theirs if step in mine]:
            yield f"{path} (in its order)"
        waiting.extend((path + step, mine[step], theirs[step]) for step in reversed(shared))


def same_value(one: Any, other: Any) -> bool:
    """Whether two values without parts are the same to the last bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, set | frozenset):
        return sorted(map(repr, cast("set[Any]", one))) == sorted(map(repr, cast("set[Any]", other)))
    if isinstance(one, _PLAIN):
        return repr(one) == repr(other)  # pyright: ignore[reportUnknownArgumentType]
    if is_array(one):
        return _header(one) == _header(other) and one.tobytes() == other.tobytes()
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(one, torch.Tensor):
        return _header(one) == _header(other) and _bits(one) == _bits(other)
    try:
        return exact_dumps(one) == exact_dumps(other)
    except UnpicklableStateError:
        return True  # no snapshot could hold it


def _header(array: Any) -> tuple[Any, ...]:
    return tuple(array.shape), array.dtype


def _bits(tensor: Any) -> bytes:
    torch: Any = sys.modules["torch"]
    raw = tensor.detach().cpu().contiguous().reshape(-1)
    return cast("bytes", raw.view(torch.uint8).numpy().tobytes()) if raw.numel() else b""


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    kind = kind_of(value)
    if kind is not None:
        yield from kind.parts(value)
    elif is_tuple(value):
        yield from ((f"[{number}]", part) for number, part in enumerate(value))
    elif isinstance(value, np.ndarray) and not is_array(value):
        objects = cast("Any", value)
        yield ".shape", objects.shape
        yield from ((f"[{number}]", part) for number, part in enumerate(objects.flat))
