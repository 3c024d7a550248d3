"""The variables of a running loop that a step reads before it sets them: they are state, whoever holds them."""

import dis
import types
from collections.abc import Iterator
from typing import Any

from rlx_runner._checkpoint.attributes import is_tuple

_ACCESS = ("FAST", "NAME", "GLOBAL", "DEREF")


def carried(frame: types.FrameType) -> dict[str, Any]:
    """Return the variables that the loop in `frame` carries from step to step, with their values.

    Functions of the same module that the loop calls are looked into for the globals that they use.
    """
    names = dict.fromkeys(_read_first(_body(frame)))
    for function in _functions(frame, names):
        names.update(dict.fromkeys(function.__code__.co_names))
    values = {**frame.f_globals, **frame.f_locals}
    return {
        name: values[name]
        for name in names
        if name in values and not name.startswith("__") and not _is_code(values[name])
    }


def _body(frame: types.FrameType) -> list[dis.Instruction]:
    steps = list(dis.get_instructions(frame.f_code))
    # On 3.12 the last instruction may be one of the hidden cache entries that follow the one that is meant.
    here = max(
        (step for step in steps if step.offset <= frame.f_lasti), key=lambda step: step.offset, default=None
    )
    if here is None or here.opname != "FOR_ITER":
        return steps
    return [step for step in steps if here.offset < step.offset < int(here.argval)]


def _read_first(steps: list[dis.Instruction]) -> Iterator[str]:
    """Yield the names whose first use, in the order of the code, is to read them."""
    used: set[str] = set()
    for step in steps:
        for stores, name in _accesses(step):
            if name not in used and not stores:
                yield name
            used.add(name)


def _accesses(step: dis.Instruction) -> Iterator[tuple[bool, str]]:
    verbs = [word for word in step.opname.split("_") if word in ("LOAD", "STORE")]
    if not verbs or not any(kind in step.opname for kind in _ACCESS):
        return
    names: tuple[Any, ...] = step.argval if is_tuple(step.argval) else (step.argval,)
    for verb, name in zip(verbs, names, strict=False):
        yield verb == "STORE", str(name)


def _functions(frame: types.FrameType, names: dict[str, None]) -> Iterator[types.FunctionType]:
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        value = frame.f_locals.get(name, frame.f_globals.get(name))
        if name in seen or not isinstance(value, types.FunctionType):
            continue
        seen.add(name)
        if value.__globals__ is frame.f_globals:
            yield value
            waiting.extend(value.__code__.co_names)


def _is_code(value: Any) -> bool:
    return isinstance(value, types.ModuleType | types.FunctionType | types.BuiltinFunctionType | type)
