"""The attributes of an object, in its dictionary and in its slots, read and written without its own methods."""

import types
from collections.abc import Iterator
from typing import Any, TypeGuard

_WORD = object.__basicsize__ // 2
_GONE_ROUND = ("EzPickle", "VecNormalize", "HerReplayBuffer")
"""Classes that leave state out of their pickles: a snapshot has all of it, whatever they say."""
_CODE = (
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    types.MethodType,
    types.CodeType,
)


def is_plain_object(value: object) -> bool:
    """Whether all that `value` holds are attributes, as in classes written in Python; code is none."""
    if isinstance(value, _CODE):
        return False
    cls = type(value)
    has_dict, has_weakrefs = bool(cls.__dictoffset__), bool(cls.__weakrefoffset__)
    names = list(_slots(cls))
    if not has_dict and not names:
        return False
    room = object.__basicsize__ + _WORD * (has_dict + has_weakrefs + len(names))
    return cls.__basicsize__ <= room  # more room is a state of C code, which attributes do not show


def attributes(value: object) -> dict[str, Any]:
    """Return the attributes by name."""
    found: dict[str, Any] = {}
    for name, member in _slots(type(value)):
        try:
            found[name] = member.__get__(value)
        except AttributeError:  # a slot that is empty
            continue
    return found | _dictionary(value)


def dictionary_of(value: object) -> dict[str, Any]:
    """Return the dictionary in which an object keeps its attributes, which changes them."""
    return vars(value)


def set_attributes(value: object, new: dict[str, Any], *, removing: bool) -> None:
    """Give `value` these attributes; remove the others where `removing`."""
    slots = dict(_slots(type(value)))
    fields = _dictionary(value)
    for name, member in slots.items():
        if name in new:
            member.__set__(value, new[name])
        elif removing and name in attributes(value):
            member.__delete__(value)
    if removing:
        for name in [name for name in fields if name not in new]:
            del fields[name]
    fields.update({name: each for name, each in new.items() if name not in slots})


def is_pickled_whole(cls: type) -> bool:
    """Whether a snapshot has all attributes of instances: nothing of the class chooses among them."""
    for base in cls.__mro__:
        own = vars(base)
        if base in (object, types.SimpleNamespace):
            return True
        if "__getstate__" in own:
            return base.__name__ in _GONE_ROUND
        if "__reduce__" in own or "__reduce_ex__" in own:
            return False
    return True


def is_tuple(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Whether `value` is a tuple, named or not."""
    return isinstance(value, tuple)


def class_of(value: object) -> type[object]:
    """Return the class of a value whose type is not known statically."""
    return type(value)


def same_class(one: object, other: object) -> bool:
    """Whether two objects are of one class; one that was loaded with its code is known by its name."""
    left, right = type(one), type(other)
    return left is right or (left.__module__, left.__qualname__) == (right.__module__, right.__qualname__)


def _dictionary(value: object) -> dict[str, Any]:
    try:
        return vars(value)
    except TypeError:
        return {}


def _slots(cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        if "__slots__" in vars(base):
            members: dict[str, Any] = dict(vars(base))
            yield from (
                (name, member)
                for name, member in members.items()
                if isinstance(member, types.MemberDescriptorType)
            )
