"""Which libraries, in which versions, a state comes from, and which of them have changed since."""

import functools
import sys
from collections.abc import Iterable, Mapping
from typing import Final

_INSTALLED_IN: Final = ("site-packages", "dist-packages")


def versions_of(modules: Iterable[str]) -> dict[str, str]:
    """Name and version of the distributions that these top-level modules come from; a program's own have none."""
    return dict(library for module in sorted(modules) for library in _libraries(module))


def changed_since(saved: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The libraries of `saved` that have another version here: their versions then and now."""
    now = {name: _version(name) for name in saved}
    return {name: (version, now[name]) for name, version in saved.items() if now[name] != version}


def in_words(changed: Mapping[str, tuple[str, str]]) -> str:
    """What has changed, as in "mujoco was 3.3.0, is 3.4.0"."""
    return "; ".join(f"{name} was {then}, is {now}" for name, (then, now) in changed.items())


@functools.cache
def _libraries(module: str) -> tuple[tuple[str, str], ...]:
    """Name and version of each distribution that has a part in a top-level module."""
    if module in sys.stdlib_module_names or module == "__main__":
        return ()
    import importlib.metadata  # not at the top, as importing it takes milliseconds

    try:
        own = importlib.metadata.distribution(module)
    except (importlib.metadata.PackageNotFoundError, ValueError):  # ValueError: a name that none can have
        names = importlib.metadata.packages_distributions().get(module, ()) if _is_installed(module) else ()
        return tuple({name: importlib.metadata.version(name) for name in names}.items())
    return ((own.name, own.version),)


def _version(distribution: str) -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _is_installed(module: str) -> bool:
    """Whether a module that is loaded lies where distributions are installed, rather than beside the program."""
    file = vars(sys.modules.get(module, sys)).get("__file__")
    return file is not None and any(place in str(file) for place in _INSTALLED_IN)
