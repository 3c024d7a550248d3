"""What a pickle holds, leaf by leaf, without running it."""

import pickle
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, cast

from rlx_snapshot._errors import DamagedSnapshotError
from rlx_snapshot._format.container import open_container, skeleton
from rlx_snapshot._format.digests import digest_of
from rlx_snapshot._inspection.pickle_walker import Made, Named, UnreadablePickleError, walk

_LONGEST: Final = 60
_PICKLE: Final = b"\x80\x05"
Sized = Sequence[object]
_METHOD: Final = Named("operator", "methodcaller")
_ARRAY: Final = Named("numpy", "ndarray")
_TYPE: Final = Named("numpy", "dtype")

_LONG: Final = 6
_SHOWN: Final = 3
"""Items that stand for a list of more than `_LONG`, where not every part is wanted."""

Summary = dict[str, str]
"""A line for every part of a state, by its path from the top."""


def summary_of(path: Path, *, every: bool = True) -> Summary:
    """Every part of the state in a file: containers and objects by class, leaves by value or checksum.

    Args:
        path: The file.
        every: Whether long lists are gone through to their ends, rather than shown by their first items.

    Raises:
        DamagedSnapshotError: If the file is not what was saved, or no pickle at all.
    """
    container = open_container(path)
    buffers = container.index.buffers if container.index else ()
    try:
        return _Summarizer(every=every).summarize(
            walk(skeleton(container), [container.data[b.offset : b.end] for b in buffers])
        )
    except (UnreadablePickleError, RecursionError) as error:
        raise DamagedSnapshotError(path, f"it is no pickle that can be read: {error}") from error


class _Summarizer:
    """Visits each part once; what is met again is named by where it was met first."""

    def __init__(self, *, every: bool) -> None:
        self._every = every
        self._first: dict[int, tuple[str, object]] = {}  # with the part, whose number must not go to another
        self._lines: Summary = {}

    def summarize(self, described: object) -> Summary:
        waiting: list[tuple[str, object]] = [("", described)]
        while waiting:
            path, part = waiting.pop()
            if _is_container(part) and id(part) in self._first:
                self._lines[path] = f"same as {self._first[id(part)][0] or 'the top'}"
                continue
            self._first[id(part)] = path, part
            self._lines[path] = _line(part)
            inside = list(_inside(part)) if self._every else _shortened(list(_inside(part)))
            waiting += [(f"{path}{step}", inner) for step, inner in reversed(inside)]
        return self._lines


class _Rest:
    """Stands for the items of a list that are not shown."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __repr__(self) -> str:
        return f"{self._count} more"


def _shortened(inside: list[tuple[str, object]]) -> list[tuple[str, object]]:
    """The parts of something, of many numbered ones the first few and a word about the rest."""
    numbered = [place for place, (step, _) in enumerate(inside) if step[:1] == "[" and step[1:-1].isdigit()]
    if len(numbered) <= _LONG:
        return inside
    first, last = numbered[_SHOWN], numbered[-1]
    rest = (f"{inside[first][0][:-1]}:]", _Rest(last + 1 - first))
    return [*inside[:first], rest, *inside[last + 1 :]]


def _is_container(part: object) -> bool:
    return isinstance(part, Made | list | dict | set) or (
        isinstance(part, tuple) and bool(cast("Sized", part))
    )


def _line(part: object) -> str:
    if isinstance(part, Made):
        return _array_line(part) or _tensor_line(part) or _class_of(part)
    contents = _contents(part)
    if contents is not None and _pickled_in(part) is not None:
        return "a pickle"
    if contents is not None:
        return f"{contents.nbytes} bytes, xxh3 {digest_of(contents):016x}"
    if isinstance(part, Mapping | Sequence | AbstractSet) and not isinstance(part, str):
        items = cast("Sized", part)
        return f"{type(items).__name__} of {len(items)}"
    text = str(part) if isinstance(part, Named) else _text(part)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..., xxh3 {digest_of(text.encode()):016x}"


def _text(part: object) -> str:
    try:
        return repr(part)
    except ValueError:  # Python does not spell out numbers of thousands of digits
        return hex(cast("int", part))


def _inside(part: object) -> Iterator[tuple[str, object]]:
    if isinstance(part, Made):
        yield from _inside_made(part)
    elif isinstance(part, Mapping):
        for key, value in cast("Mapping[object, object]", part).items():
            yield f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{_line(key)}]", value
    elif isinstance(part, list | tuple):
        yield from ((f"[{number}]", item) for number, item in enumerate(cast("Sized", part)))
    elif (pickled := _pickled_in(part)) is not None:
        yield " pickle", pickled[0]
    elif isinstance(part, set | frozenset):
        items = sorted(cast("AbstractSet[object]", part), key=_line)
        yield from ((f"{{{number}}}", item) for number, item in enumerate(items))


def _pickled_in(part: object) -> tuple[object] | None:
    """What is in bytes that are a pickle themselves, as a sampler keeps live environments."""
    if not (isinstance(part, bytes) and part.startswith(_PICKLE) and part.endswith(pickle.STOP)):
        return None
    try:
        return (walk(part),)
    except (UnreadablePickleError, RecursionError):
        return None


def _inside_made(made: Made) -> Iterator[tuple[str, object]]:
    if _array_line(made) or _tensor_line(made):
        return
    if isinstance(made.function, Made):
        yield "()", made.function
    yield from ((f"({number})", item) for number, item in enumerate(made.arguments))
    yield from _inside(made.named_arguments)
    state = made.state
    if isinstance(state, dict):
        yield from _inside(cast("object", state))
    elif state is not None:
        yield " state", state
    yield from _inside(made.items)
    yield from _inside(made.pairs)


def _class_of(made: Made) -> str:
    if made.function == Named("copyreg", "__newobj__") and made.arguments:
        return str(made.arguments[0])
    return f"{made.function}" if isinstance(made.function, Named) else "result of a call"


def _array_line(made: Made) -> str | None:
    """An array by shape, type and checksum."""
    if made.function != _ARRAY or len(made.arguments) < 3:
        return None
    contents = _contents(made.arguments[2])
    if contents is None:
        return None
    return f"array {made.arguments[0]} {_type_name(made.arguments[1])}, xxh3 {digest_of(contents):016x}"


def _tensor_line(made: Made) -> str | None:
    """A tensor by shape, type and checksum of the storage that it views."""
    call = made.function
    if not (isinstance(call, Made) and call.function == _METHOD and len(call.arguments) == 5):
        return None
    name, storage, offset, shape, _ = call.arguments
    if name != "set_":
        return None
    contents = [found for part in _everything(storage) if (found := _contents(part)) is not None]
    types = [
        part.name
        for part in _everything(made.arguments)
        if isinstance(part, Named) and part.module == "torch"
    ]
    where = f" at {offset}" if offset else ""
    digests = " ".join(f"{digest_of(content):016x}" for content in contents)
    return f"tensor {shape} {' '.join(types)}{where}, xxh3 {digests or 'of nothing'}"


def _contents(part: object) -> memoryview | None:
    if isinstance(part, bytes | bytearray):
        return memoryview(part)
    return cast("memoryview", part) if isinstance(part, memoryview) else None


def _type_name(dtype: object) -> str:
    if isinstance(dtype, Made) and dtype.function == _TYPE and dtype.arguments:
        return str(dtype.arguments[0])
    return "?"


def _everything(part: object) -> Iterator[object]:
    """`part` and all that is inside, of something as small as a tensor's description."""
    yield part
    if isinstance(part, Made):
        inner = [part.function, *part.arguments, part.state]
    elif isinstance(part, list | tuple):
        inner = list(cast("Sized", part))
    elif isinstance(part, dict):
        inner = list(cast("dict[object, object]", part).values())
    else:
        return
    for item in inner:
        yield from _everything(item)
