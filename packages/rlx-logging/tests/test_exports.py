"""The public face of the package."""

import ast
import pkgutil
from importlib import import_module
from pathlib import Path

import rlx_logging


def imported() -> dict[str, str]:
    """Return every name that `__init__` imports from the package's modules, for types or for use, and from where."""
    tree = ast.parse(Path(rlx_logging.__file__).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rlx_logging.")
        for alias in node.names
        if node.module
    }


def test_all_is_what_is_imported() -> None:
    """Neither is a name imported and not listed, nor listed and not imported."""
    assert sorted(rlx_logging.__all__) == sorted(imported())


def test_every_name_is_what_its_module_defines() -> None:
    """A lazily imported name is the same object that the type checker is shown."""
    for name, module in imported().items():
        assert getattr(rlx_logging, name) is vars(import_module(module))[name]


def test_every_public_class_that_others_take_is_exported() -> None:
    """Loggers, warnings and errors: a subclass that is not exported could be met, but not named."""
    for base in (rlx_logging.BaseLogger, rlx_logging.LoggingWarning, rlx_logging.MissingBackendError):
        for module in pkgutil.walk_packages(rlx_logging.__path__, "rlx_logging."):
            import_module(module.name)
        unexported = {
            one.__name__
            for one in _subclasses(base)
            if one.__module__.startswith("rlx_logging.") and one.__name__ not in rlx_logging.__all__
        }
        assert unexported <= {"ForeignLogger"}  # made by a fan-out only, and never handed out


def _subclasses(base: type) -> list[type]:
    children: list[type] = base.__subclasses__()
    return [one for child in children for one in (child, *_subclasses(child))]
