"""Local variables of functions that are running: loops keep counters there, and workers their environment."""

import ctypes
import inspect
import sys
import types
from typing import Any


def running(function: str, **variables: object) -> types.FrameType | None:
    """Return the frame of the innermost call of `function` whose local variables are the given objects."""
    frame = inspect.currentframe()
    while frame is not None:
        found = frame.f_code.co_name == function and all(
            frame.f_locals.get(name) is value for name, value in variables.items()
        )
        if found:
            return frame
        frame = frame.f_back
    return None


def read_local(frame: types.FrameType | None, name: str, default: Any) -> Any:
    """Return a local variable, or `default` where there is none of that name."""
    return default if frame is None else frame.f_locals.get(name, default)


def write_local(frame: types.FrameType | None, name: str, value: Any) -> None:
    """Set a local variable, where there is one of that name."""
    if frame is None or name not in frame.f_code.co_varnames:
        return
    frame.f_locals[name] = value
    if sys.version_info < (3, 13):  # there f_locals is a copy, which is written back by this
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
