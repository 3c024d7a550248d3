"""Modules that another process could not import: what they define has to travel by value.

Scripts run by path, modules loaded from a file, and tests in pytest's importlib mode are
known in this process only.
"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import cloudpickle

MAIN: Final = {"__main__", "__mp_main__"}
"""What cloudpickle sends by value in any case."""

library: Any = cloudpickle


@contextmanager
def unfindable_by_value() -> Generator[None]:
    """Let cloudpickle pickle what unfindable modules define by value, meanwhile."""
    registered = library.list_registry_pickle_by_value()
    modules = [module for module in unfindable_modules() if module.__name__ not in registered]
    for module in modules:
        library.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            library.unregister_pickle_by_value(module)


def unfindable_modules() -> list[ModuleType]:
    """Return the modules loaded here that a fresh process with the same path would not find."""
    loaded: list[tuple[str, Any]] = list(sys.modules.items())
    places = {place.rstrip(os.sep) for place in sys.path}
    tops = {name.partition(".")[0] for name, _ in loaded} - sys.stdlib_module_names - MAIN
    unfindable = {top for top in tops if not _can_be_found(top, places)}
    return [
        module for name, module in loaded if name.partition(".")[0] in unfindable and _is_code(name, module)
    ]


def _is_code(name: str, module: Any) -> bool:
    """Whether a module is known by its own name and was made from a file."""
    return isinstance(module, ModuleType) and module.__name__ == name and "__file__" in vars(module)


def _can_be_found(top: str, places: set[str]) -> bool:
    """Whether the top-level module `top` can be imported again; most are told by where they lie."""
    module = sys.modules.get(top)
    spec = None if module is None else module.__spec__
    if spec is not None and spec.origin is not None:
        folder = spec.origin.rpartition(os.sep)[0]
        if folder in places or folder.rpartition(os.sep)[0] in places:
            return True
    return any(_finds(finder, top) for finder in sys.meta_path)


def _finds(finder: Any, top: str) -> bool:
    try:
        return finder.find_spec(top, None) is not None
    except (AttributeError, ImportError, ValueError):  # finders are anybody's
        return False
