"""Objects of all kinds take another's state and stay themselves."""

import functools
import random
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_runner._checkpoint.compare import differences
from rlx_runner._checkpoint.inplace import InPlace
from rlx_snapshot import exact_copy


def write(live: Any, saved: Any) -> Any:
    """Give `live` the state of `saved`; return what stands for `saved` now."""
    places = InPlace()
    list(places.pair("value", live, saved))
    places.write()
    return places.resolve(saved)


class Slotted:
    """Has no dictionary."""

    __slots__ = ("a", "b")

    def __init__(self, a: Any) -> None:
        self.a = a
        self.b = None
        del self.b


class Child(Slotted):
    """Has slots and a dictionary."""

    def __init__(self, a: Any, c: Any) -> None:
        super().__init__(a)
        self.c = c


class Pair(NamedTuple):
    """Cannot change, but holds what can."""

    left: Any
    right: Any


@dataclass(frozen=True)
class Frozen:
    """Is held for its value."""

    array: Any


@dataclass
class Record:
    """A dataclass that changes."""

    values: list[int] = field(default_factory=list[int])


def counting(n: int) -> Callable[[], int]:
    """Return a function with a variable of its own."""

    def count() -> int:
        nonlocal n
        n += 1
        return n

    return count


def holding(value: Any) -> Callable[[], Any]:
    """Return a function that returns `value`."""
    return lambda: value


def ordered() -> OrderedDict[str, int]:
    """Return a dictionary whose order is part of it."""
    return OrderedDict(a=1, b=2)


def namespace(value: Any) -> SimpleNamespace:
    """Return an object with an attribute."""
    return SimpleNamespace(a=value)


CHANGES: list[tuple[Callable[[], Any], Callable[[Any], Any]]] = [
    (lambda: {"a": 1}, lambda it: it.update({"b": 2, "a": 3})),
    (lambda: {"a": 1, "b": 2}, lambda it: it.pop("a")),
    (lambda: [1, [2]], lambda it: it[1].append(3)),
    (lambda: deque([1, 2], maxlen=3), lambda it: it.extend([3, 4])),
    (lambda: {1, 2}, lambda it: it.add(3)),
    (lambda: bytearray(b"ab"), lambda it: it.extend(b"c")),
    (ordered, lambda it: it.move_to_end("a")),
    (lambda: defaultdict[str, list[int]](list, {"a": [1]}), lambda it: it["b"].append(2)),
    (lambda: np.arange(6).reshape(2, 3), lambda it: it.sort(axis=0) or it.fill(7)),
    (lambda: np.random.default_rng(1), lambda it: it.random(3)),
    (lambda: np.random.RandomState(1), lambda it: it.normal(size=3)),
    (lambda: np.random.Generator(np.random.Philox(2)), lambda it: it.integers(9)),
    (lambda: random.Random(1), lambda it: it.gauss()),
    (lambda: SimpleNamespace(a=1), lambda it: setattr(it, "b", SimpleNamespace(c=[1]))),
    (lambda: SimpleNamespace(a=1, b=2), lambda it: delattr(it, "a")),
    (lambda: Slotted(1), lambda it: setattr(it, "b", 2)),
    (lambda: Child([1], {}), lambda it: it.a.append(it.c)),
    (Record, lambda it: it.values.append(1)),
]


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_an_object_takes_the_state_of_another(make: Callable[[], Any], change: Callable[[Any], Any]) -> None:
    """It is the same object, and differs in nothing from what was saved."""
    live, other = make(), make()
    change(other)
    saved = exact_copy(other)
    assert list(differences("it", live, saved)) != []
    assert write(live, saved) is live
    assert list(differences("it", live, exact_copy(other))) == []


@pytest.mark.parametrize(("make", "change"), CHANGES)
def test_going_back_undoes_what_was_done(make: Callable[[], Any], change: Callable[[Any], Any]) -> None:
    """Also what came up since: attributes, keys, elements."""
    live = make()
    saved = exact_copy(live)
    change(live)
    write(live, saved)
    assert list(differences("it", live, exact_copy(make()))) == []


def test_objects_inside_stay_the_same() -> None:
    """All the way down, where the class is still the same."""
    live = SimpleNamespace(inner=SimpleNamespace(array=np.zeros(2)), pair=Pair([1], {"a": [2]}))
    inner, array, one, two = live.inner, live.inner.array, live.pair.left, live.pair.right["a"]
    saved = exact_copy(live)
    saved.inner.array += 5
    saved.pair.left.append(2)
    saved.pair.right["a"].append(3)
    write(live, saved)
    assert live.inner is inner
    assert live.inner.array is array
    assert array.tolist() == [5.0, 5.0]
    assert live.pair.left is one
    assert live.pair.right["a"] is two
    assert live.pair == Pair([1, 2], {"a": [2, 3]})


def test_references_to_saved_objects_become_references_to_live_ones() -> None:
    """In new lists, tuples, keys, sets, methods, partial functions and closures too."""

    class Node:
        def method(self) -> "Node":
            return self

    live = SimpleNamespace(node=Node(), more={})
    saved = exact_copy(live)
    node = saved.node
    more: dict[Any, Any] = {
        "list": [node],
        "tuple": (node, 1),
        "pair": Pair(node, 2),
        "method": node.method,
        "partial": functools.partial(Node.method, node),
        "set": {node},
        node: "key",
        "closure": holding(node),
        "cycle": [node],
    }
    more["cycle"].append(more)
    saved.more = more
    write(live, saved)
    more = live.more
    found = [
        more["list"][0],
        more["tuple"][0],
        more["pair"].left,
        more["method"](),
        more["partial"](),
        more["closure"](),
    ]
    assert all(each is live.node for each in found)
    assert more["set"] == {live.node}
    assert more[live.node] == "key"
    assert more["cycle"][1] is more


def test_objects_that_point_at_each_other() -> None:
    """A cycle is written once."""
    live = SimpleNamespace(n=0)
    live.me, live.list = live, [live]
    saved = exact_copy(live)
    saved.n = 3
    write(live, saved)
    assert (live.n, live.me, live.list[0]) == (3, live, live)


def test_another_class_takes_the_place() -> None:
    """Where an attribute holds an object of another class, the saved one is put there."""
    live, saved = SimpleNamespace(phase=Record()), SimpleNamespace(phase=Slotted(4))
    write(live, saved)
    assert live.phase.a == 4


def test_what_is_held_for_its_value_does_not_change() -> None:
    """A frozen record is replaced: others may hold the old one."""
    live = SimpleNamespace(state=Frozen(np.zeros(1)))
    before = live.state
    saved = exact_copy(live)
    saved.state.array[0] = 3
    write(live, saved)
    assert live.state.array[0] == 3
    assert before.array[0] == 0


def test_a_function_of_the_script_keeps_its_code() -> None:
    """Its variables are set, the function is the live one."""
    live = SimpleNamespace(count=counting(1))
    function, saved = live.count, exact_copy(live)
    saved.count()
    write(live, saved)
    assert live.count is function
    assert live.count() == 3


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | st.tuples(inner, inner)
        | st.builds(namespace, inner)
    ),
    max_leaves=12,
)


@given(values, values)
def test_any_state_can_be_taken(live: Any, other: Any) -> None:
    """Whatever the two are, afterwards they are the same."""
    mine, saved = [live], exact_copy([other])
    write(mine, saved)
    assert list(differences("it", mine, exact_copy([other]))) == []
