"""Building values from what a pickle says about them; nothing that it names is ever called."""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, cast

from rlx_snapshot._inspection.pickle_walker import Made, Named, UnreadablePickleError
from rlx_snapshot._inspection.untrusted_arrays import ARRAY_MAKERS, named_value

MAX_DEPTH: Final = 200


def built_from(described: object) -> Any:
    """The value that `walk` described.

    Raises:
        UnreadablePickleError: If it is not plain data, arrays or tensors, or is nested too deep.
    """
    return _Builder().build(described, 0)


class _Builder:
    """Turns descriptions into values, each once, so that aliases stay aliases."""

    def __init__(self) -> None:
        self._built: dict[int, Any] = {}
        self._sources: list[object] = []

    def build(self, described: object, depth: int) -> Any:
        """The value that is described."""
        if depth > MAX_DEPTH:
            raise UnreadablePickleError(f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(described, Named):
            return named_value(described)
        builder = _CONTAINERS.get(type(described))
        if builder is None:
            return described
        if id(described) not in self._built:
            self._sources.append(described)
            builder(self, described, depth + 1)
        return self._built[id(described)]

    def list_like(self, described: list[object], depth: int) -> None:
        built: list[object] = []
        self._built[id(described)] = built
        built.extend(self.build(item, depth) for item in described)

    def dict_like(self, described: dict[object, object], depth: int) -> None:
        built: dict[object, object] = {}
        self._built[id(described)] = built
        self._fill(built, described, depth)

    def immutable(self, described: Any, depth: int) -> None:
        self._built[id(described)] = type(described)([self.build(item, depth) for item in described])

    def made(self, described: Made, depth: int) -> None:
        arguments = [self.build(argument, depth) for argument in described.arguments]
        if isinstance(described.function, Named):
            maker = ARRAY_MAKERS.get(described.function) or _MAKERS.get(described.function)
            if maker is None or described.named_arguments:
                raise UnreadablePickleError(f"it makes a {described.function}, which is not plain data")
            state = self.build(described.state, depth)
            built = maker(*arguments) if state is None else maker(*arguments, state=state)
        elif isinstance(described.function, Made):
            method = self.build(described.function, depth)
            built = cast("Callable[..., object]", method)(*arguments)
        else:
            raise UnreadablePickleError(f"it calls a {type(described.function).__name__}")
        self._built[id(described)] = built
        if described.items:
            _only(built, deque).extend(self.build(item, depth) for item in described.items)
        if described.pairs:
            self._fill(_only(built, OrderedDict, defaultdict), described.pairs, depth)

    def _fill(self, built: Any, pairs: dict[object, object], depth: int) -> None:
        for key, value in pairs.items():
            built[self.build(key, depth)] = self.build(value, depth)


def _only(value: Any, *classes: type[object]) -> Any:
    if not isinstance(value, classes):
        raise UnreadablePickleError(f"it puts items into a {type(value).__name__}")
    return value


def _plain_defaultdict(factory: object = None) -> defaultdict[object, object]:
    if factory not in {None, list, dict, set, int, float}:
        raise UnreadablePickleError("a defaultdict has a factory that is not plain data")
    return defaultdict(cast("Callable[[], object] | None", factory))


def _namespace(*, state: dict[str, object] | None = None) -> SimpleNamespace:
    return SimpleNamespace(**state or {})


def _bytearray(data: bytes) -> bytearray:
    return bytearray(memoryview(data))  # a number would ask for that many bytes of memory


def _encoded(text: object, encoding: object) -> bytes:
    """How protocols before 3 write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise UnreadablePickleError(f"it encodes a {type(text).__name__} as {encoding!r}")
    return text.encode("latin1")


_CONTAINERS: Final[dict[type, Callable[[_Builder, Any, int], None]]] = {
    list: _Builder.list_like,
    dict: _Builder.dict_like,
    tuple: _Builder.immutable,
    set: _Builder.immutable,
    frozenset: _Builder.immutable,
    Made: _Builder.made,
}
_BUILTINS: Final[dict[str, Callable[..., object]]] = {
    "set": set,
    "frozenset": frozenset,
    "bytearray": _bytearray,
    "complex": complex,
    "range": range,
    "slice": slice,
}
_MAKERS: Final[dict[Named, Callable[..., object]]] = {
    # Protocols before 3 call them by their names in Python 2, and make bytes by encoding text, none by calling bytes.
    **{Named(home, name): made for home in ("builtins", "__builtin__") for name, made in _BUILTINS.items()},
    Named("__builtin__", "bytes"): lambda: b"",
    Named("_codecs", "encode"): _encoded,
    Named("types", "SimpleNamespace"): _namespace,
    Named("collections", "OrderedDict"): OrderedDict,
    Named("collections", "deque"): deque,
    Named("collections", "defaultdict"): _plain_defaultdict,
}
