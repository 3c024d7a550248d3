"""The experiment of an earlier run, found and loaded in another process."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from rlx_experiment._experiment import Experiment

_LOADING: Final = "__rlx_launcher__"


def load_experiment(
    identity: Mapping[str, Any], root: Path | None = None, tree: Path | None = None
) -> Experiment:
    """Return the experiment that a run recorded, from the rebuilt `tree` of the repository `root` if given.

    Raises:
        LookupError: The launcher is gone, or has no such experiment any more.
    """
    file = Path(identity["file"])
    if root and tree and file.is_relative_to(root):
        file = tree / file.relative_to(root)
    name = str(identity["module"])
    if name == "__main__" and not file.is_file():
        raise LookupError(
            f"{file}, where the run's experiment was, is no file now; put it back, or rerun the run with the code it kept"
        )
    package = str(identity.get("package", ""))
    sys.path.insert(0, str(_import_root(file, f"{package}.{file.stem}" if package else name)))
    module = _load_main(file, package) if name == "__main__" else _load_module(file, name)
    try:
        found: object = functools.reduce(getattr, str(identity["function"]).split("."), module)
    except AttributeError:
        found = None
    if not isinstance(found, Experiment):
        raise LookupError(f"{file} has no experiment {identity['function']!r} at its top level")
    return found


def _import_root(file: Path, module: str) -> Path:
    """Return the folder from which `module`, which lies in `file`, can be imported."""
    parts = [] if module == "__main__" else module.split(".")
    if file.name == "__init__.py":
        file = file.parent
    if parts and list(file.with_suffix("").parts[-len(parts) :]) == parts:
        return file.parents[len(parts) - 1]
    return file.parent


def _load_module(file: Path, name: str) -> ModuleType:
    """Import a module by its name, or, where that is known only to the program that launched the run, from its file."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        spec = importlib.util.spec_from_file_location(name, file)
        if not name.startswith(str(error.name)) or spec is None or spec.loader is None:
            raise
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def _load_main(file: Path, package: str) -> ModuleType:
    """Load a launcher as ``__main__``, so that pickles of its classes load, but without its main part running."""
    name = f"{package}.{_LOADING}" if package else _LOADING  # one in a package imports its neighbours by it
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{file} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = sys.modules[name] = module
    sys.argv = [str(file)]
    spec.loader.exec_module(module)
    module.__name__ = "__main__"
    for value in [*vars(module).values()]:
        _claim(value)
    return module


def _claim(value: object) -> None:
    """Let a class or function that was defined while loading belong to ``__main__``."""
    try:
        if not value.__module__.endswith(_LOADING):
            return
        value.__module__ = "__main__"
    except AttributeError:
        return
    if isinstance(value, type):
        for inner in [*vars(value).values()]:
            _claim(inner)
    if isinstance(value, Experiment):
        _claim(value.wrapped)
