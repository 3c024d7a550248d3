"""What an experiment is known by: to its runs, and to other processes that should find it."""

import functools
import sys
import types
from pathlib import Path

from rlx_experiment._arguments.signature import Function, unwrap
from rlx_experiment._runs.record import read_arguments


def experiment_identity(function: Function) -> str:
    """Return ``file.py:function``, by which runs of the same experiment know each other wherever the file lies."""
    return f"{Path(_file(function)).name}:{qualified_name(function)}"


def place(function: Function) -> dict[str, object]:
    """Return module, name and file, by which another process finds `function`; of a main module also its package."""
    file = _file(function)
    return {
        "module": function.__module__,
        "function": qualified_name(function),
        "file": str(Path(file).absolute()) if file else "",
        "package": main_package() if function.__module__ == "__main__" else "",
    }


def main_package() -> str:
    """Return the package of a program that was started as ``python -m package.module``; empty for a script."""
    return str(vars(sys.modules["__main__"]).get("__package__") or "")


def recorded_place(run_folder: Path) -> dict[str, object]:
    """Return where the function of an earlier run was; a rebuilt tree of it is gone after the run."""
    recorded = read_arguments(run_folder)
    known = ("module", "function", "file", "package")
    return {key: recorded[1][key] for key in known if key in recorded[1]} if recorded else {}


def qualified_name(function: Function) -> str:
    """Return the name of `function` with those of what it is defined in; that of its class where it has none."""
    try:
        return function.__qualname__
    except AttributeError:  # a partial, or an object with __call__
        return type(function).__qualname__


def find(module: str, qualname: str) -> object:
    """Return what an imported module has under a qualified name; None if nothing."""
    found: object = sys.modules.get(module)
    try:
        return functools.reduce(getattr, qualname.split("."), found)
    except AttributeError:
        return None


def is_importable(function: Function, template: object) -> bool:
    """Return whether another process finds `template`, made of `function`, by module and name."""
    module, file = function.__module__, _file(function)
    if module == "__main__" and not Path(file).is_file():  # typed into a notebook or a shell
        return False
    return find(module, qualified_name(function)) is template


def _file(function: Function) -> str:
    """Return the file in which `function` itself was written, whatever decorates it; empty if unknown."""
    inner = unwrap(function)
    if isinstance(inner, types.FunctionType):
        return inner.__code__.co_filename
    import inspect

    try:
        return inspect.getfile(inner)
    except (TypeError, OSError):
        return ""
