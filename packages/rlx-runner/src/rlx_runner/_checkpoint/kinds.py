"""The kinds of objects that can be given another state, each with its parts and how it is written."""

import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from rlx_runner._checkpoint.attributes import (
    attributes,
    class_of,
    is_pickled_whole,
    is_plain_object,
    same_class,
    set_attributes,
)

Resolve = Callable[[Any], Any]
"""Gives the live object for a saved one."""

Parts = Iterator[tuple[str, Any]]


def _nothing(value: Any) -> Iterator[Any]:
    del value
    yield from ()


@dataclass(frozen=True)
class Kind:
    """How objects of one kind are recognised, looked into, and given another's state.

    Args:
        holds: Whether a value is of this kind.
        write: Gives the first object the state of the second, what that refers to resolved.
        parts: What it consists of, each with how it is reached; a part of another object is reached the same way.
        unordered: What it refers to beyond its parts.
        fits: Whether the second's state can be written into the first.
    """

    holds: Callable[[Any], bool]
    write: Callable[[Any, Any, Resolve], None]
    parts: Callable[[Any], Parts] = _nothing
    unordered: Callable[[Any], Iterable[Any]] = _nothing
    fits: Callable[[Any, Any], bool] = same_class

    def references(self, value: Any) -> Iterator[Any]:
        """Yield everything that `value` refers to."""
        yield from (part for _, part in self.parts(value))
        yield from self.unordered(value)


def kind_of(value: Any) -> Kind | None:
    """Return the kind of `value`; None for what cannot change, or only in ways that nobody sees."""
    return next((kind for kind in _KINDS if kind.holds(value)), None)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _tensors_fit(live: Any, saved: Any) -> bool:
    return (
        type(live) is type(saved)
        and (live.shape, live.dtype, live.layout) == (saved.shape, saved.dtype, saved.layout)
        and bool(live.is_leaf)
        and not live.is_inference()
        and (live.numel() < 2 or 0 not in live.stride())
    )


def _write_tensor(live: Any, saved: Any, _: Resolve) -> None:
    live.data.copy_(saved.data)
    live.requires_grad_(saved.requires_grad)
    live.grad = saved.grad


def is_array(value: Any) -> bool:
    """Whether `value` is an array of plain values."""
    return isinstance(value, np.ndarray) and not cast("Any", value).dtype.hasobject


def _arrays_fit(live: Any, saved: Any) -> bool:
    return (live.shape, live.dtype) == (saved.shape, saved.dtype) and bool(live.flags.writeable)


def _write_array(live: Any, saved: Any, _: Resolve) -> None:
    live[...] = saved


def _is_bit_generator(value: Any) -> bool:
    return isinstance(value, np.random.BitGenerator)


def _write_bits(live: Any, saved: Any, _: Resolve) -> None:
    live.state = saved.state


def _bits_fit(live: Any, saved: Any) -> bool:
    return type(live.bit_generator) is type(saved.bit_generator)


def _write_by_parts(*_: Any) -> None:
    """Leave it to the parts, which are written themselves."""


def _bits(value: Any) -> Parts:
    yield ".bit_generator", value.bit_generator


def _write_numpy_random_state(live: Any, saved: Any, _: Resolve) -> None:
    live.set_state(saved.get_state(legacy=False))


def _is_torch_generator(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Generator)


def _torch_generators_fit(live: Any, saved: Any) -> bool:
    return bool(live.device == saved.device)


def _write_torch_generator(live: Any, saved: Any, _: Resolve) -> None:
    live.set_state(saved.get_state())


def _items(value: Any) -> Parts:
    for number, (key, item) in enumerate(value.items()):
        plain = isinstance(key, str | int | float | bool | tuple | type(None))
        yield f"[{key!r}]" if plain else f"[key {number}]", item


def _write_dict(live: Any, saved: Any, resolve: Resolve) -> None:
    items = [(resolve(key), resolve(item)) for key, item in saved.items()]
    live.clear()
    for key, item in items:
        live[key] = item


def _elements(value: Any) -> Parts:
    yield from ((f"[{number}]", element) for number, element in enumerate(value))


def _write_list(live: Any, saved: Any, resolve: Resolve) -> None:
    live[:] = [resolve(element) for element in saved]


def _write_deque(live: Any, saved: Any, resolve: Resolve) -> None:
    elements = [resolve(element) for element in saved]
    live.clear()
    live.extend(elements)


def _deques_fit(live: Any, saved: Any) -> bool:
    return same_class(live, saved) and live.maxlen == saved.maxlen


def _write_set(live: Any, saved: Any, resolve: Resolve) -> None:
    elements = [resolve(element) for element in saved]
    live.clear()
    live.update(elements)


def _write_bytes(live: Any, saved: Any, _: Resolve) -> None:
    live[:] = saved


def _write_python_random(live: Any, saved: Any, _: Resolve) -> None:
    live.setstate(saved.getstate())


def _cells(value: Any) -> Parts:
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        try:
            yield f".<variable {name}>", cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue


def _functions_fit(live: Any, saved: Any) -> bool:
    names = live.__code__.co_freevars
    return bool(live.__qualname__ == saved.__qualname__ and names == saved.__code__.co_freevars)


def _write_cells(live: Any, saved: Any, resolve: Resolve) -> None:
    for mine, other in zip(live.__closure__ or (), saved.__closure__ or (), strict=True):
        try:
            mine.cell_contents = resolve(other.cell_contents)
        except ValueError:
            continue


def _fields(value: Any) -> Parts:
    yield from ((f".{name}", part) for name, part in attributes(value).items())


def _write_object(live: Any, saved: Any, resolve: Resolve) -> None:
    new = {name: resolve(part) for name, part in attributes(saved).items()}
    set_attributes(live, new, removing=is_pickled_whole(class_of(live)))


def _objects_fit(live: Any, saved: Any) -> bool:
    return same_class(live, saved) and not is_frozen(live)


def is_frozen(value: Any) -> bool:
    """Whether `value` is a dataclass that is not to change: others may hold it for its value."""
    settings = vars(class_of(value)).get("__dataclass_params__")
    return settings is not None and bool(settings.frozen)


def _instance_of(*classes: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, classes)


_KINDS = (
    Kind(_instance_of(dict), _write_dict, _items, unordered=dict[Any, Any].keys),
    Kind(_instance_of(list), _write_list, _elements),
    Kind(_is_tensor, _write_tensor, fits=_tensors_fit),
    Kind(is_array, _write_array, fits=_arrays_fit),
    Kind(_instance_of(deque), _write_deque, _elements, fits=_deques_fit),
    Kind(_instance_of(set), _write_set, unordered=iter),
    Kind(_instance_of(bytearray), _write_bytes),
    Kind(_instance_of(random.Random), _write_python_random),
    Kind(_instance_of(np.random.Generator), _write_by_parts, _bits, fits=_bits_fit),
    Kind(_is_bit_generator, _write_bits),
    Kind(_instance_of(np.random.RandomState), _write_numpy_random_state),
    Kind(_is_torch_generator, _write_torch_generator, fits=_torch_generators_fit),
    Kind(_instance_of(types.FunctionType), _write_cells, _cells, fits=_functions_fit),
    Kind(is_plain_object, _write_object, _fields, fits=_objects_fit),
)
