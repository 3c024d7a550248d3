"""Reading a pickle without running it: its opcodes are walked, its calls become descriptions of calls."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, cast


class Named(NamedTuple):
    """A class or function that the pickle names, not looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Made:
    """What a call would return, not called; with what the pickle would put into it afterwards."""

    function: object
    arguments: tuple[object, ...]
    named_arguments: dict[str, object] = field(default_factory=dict[str, object])
    state: object = None
    items: list[object] = field(default_factory=list[object])
    pairs: dict[object, object] = field(default_factory=dict[object, object])


class UnreadablePickleError(ValueError):
    """The opcodes are no pickle that can be walked."""


def walk(pickled: bytes | memoryview, buffers: Iterable[memoryview] = ()) -> object:
    """The object that a pickle describes, of plain containers, `Named` and `Made`.

    Raises:
        UnreadablePickleError: If the opcodes make no sense.
    """
    import pickletools

    machine = _Machine(iter(buffers))
    try:
        for opcode, argument, _ in pickletools.genops(bytes(pickled)):
            machine.step(opcode.name, argument)
        return machine.stack.pop()
    except (LookupError, AttributeError, TypeError, ValueError, StopIteration, OverflowError) as error:
        raise UnreadablePickleError(f"the pickle makes no sense ({type(error).__name__}: {error})") from error


class _Machine:
    """The stack, marks and memo of a pickle; every method is one opcode."""

    def __init__(self, buffers: Iterator[memoryview]) -> None:
        self.stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        self._buffers = buffers

    def step(self, name: str, argument: Any) -> None:
        """Carry out one opcode."""
        if name in _IGNORED:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        else:
            self.stack.append(argument)  # every other opcode pushes the value it carries

    def mark(self, _: Any) -> None:
        self._outer.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._outer.pop()
        return items

    def pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def pop_mark(self, _: Any) -> None:
        self.since_mark()

    def dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def tuple_of(self, count: int) -> None:
        items = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        self.stack.append(items)

    def tuple_since_mark(self, _: Any) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def list_since_mark(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append(items)

    def dict_since_mark(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append(dict(_pairs(items)))

    def frozenset_since_mark(self, _: Any) -> None:
        items = self.since_mark()
        self.stack.append(frozenset(items))

    def append(self, _: Any) -> None:
        self._extend([self.stack.pop()])

    def appends(self, _: Any) -> None:
        self._extend(self.since_mark())

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.items if isinstance(target, Made) else cast("list[Any]", target)).extend(items)

    def set_item(self, _: Any) -> None:
        value = self.stack.pop()
        self._update([self.stack.pop(), value])

    def set_items(self, _: Any) -> None:
        self._update(self.since_mark())

    def _update(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.pairs if isinstance(target, Made) else cast("dict[Any, Any]", target)).update(_pairs(items))

    def add_items(self, _: Any) -> None:
        items = self.since_mark()
        self.stack[-1].update(items)

    def named(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(Named(module, name))

    def stack_named(self, _: Any) -> None:
        name = self.stack.pop()
        self.stack.append(Named(self.stack.pop(), name))

    def reduce(self, _: Any) -> None:
        arguments = self.stack.pop()
        self.stack.append(Made(self.stack.pop(), tuple(arguments)))

    def new_object_with_names(self, _: Any) -> None:
        named = self.stack.pop()
        arguments = self.stack.pop()
        self.stack.append(Made(self.stack.pop(), tuple(arguments), dict(named)))

    def instance(self, argument: str) -> None:
        arguments = self.since_mark()
        self.named(argument)
        self.stack.append(Made(self.stack.pop(), tuple(arguments)))

    def object_since_mark(self, _: Any) -> None:
        function, *arguments = self.since_mark()
        self.stack.append(Made(function, tuple(arguments)))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Made):
            raise UnreadablePickleError("a state is given to something that has none")
        self.stack[-1].state = state

    def put(self, key: int) -> None:
        self._memo[key] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def get(self, key: int) -> None:
        self.stack.append(self._memo[key])

    def next_buffer(self, _: Any) -> None:
        self.stack.append(next(self._buffers))

    def readonly_buffer(self, _: Any) -> None:
        self.stack[-1] = memoryview(self.stack[-1]).toreadonly()

    def refuse(self, _: Any) -> None:
        raise UnreadablePickleError("it refers to objects outside of the file")


def _pairs(items: list[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


_IGNORED: Final = frozenset({"PROTO", "FRAME", "STOP"})
_CONSTANTS: Final[dict[str, Callable[[], object]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_STEPS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.dup,
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "LIST": _Machine.list_since_mark,
    "DICT": _Machine.dict_since_mark,
    "FROZENSET": _Machine.frozenset_since_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "ADDITEMS": _Machine.add_items,
    "GLOBAL": _Machine.named,
    "STACK_GLOBAL": _Machine.stack_named,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.reduce,
    "NEWOBJ_EX": _Machine.new_object_with_names,
    "INST": _Machine.instance,
    "OBJ": _Machine.object_since_mark,
    "BUILD": _Machine.build,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.memoize,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "NEXT_BUFFER": _Machine.next_buffer,
    "READONLY_BUFFER": _Machine.readonly_buffer,
    "PERSID": _Machine.refuse,
    "BINPERSID": _Machine.refuse,
    "EXT1": _Machine.refuse,
    "EXT2": _Machine.refuse,
    "EXT4": _Machine.refuse,
}
