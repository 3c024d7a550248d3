"""What a package exports is what it lists: `__all__` and `__init__` say the same."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = sorted(path.name for path in (Path(__file__).parent.parent / "packages").glob("*/src/rlx_*"))


def public_members(module: ModuleType) -> set[str]:
    """Names of a module that users may use: no underscore, and nothing that is merely imported from elsewhere."""
    members = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    own = {name: value for name, value in members.items() if not isinstance(value, ModuleType)}
    return {name for name, value in own.items() if getattr(value, "__module__", "rlx_").startswith("rlx_")}


def why_missing(module: ModuleType, name: str) -> str:
    """Empty when `module` has `name`, or when it says which extra to install for it."""
    try:
        getattr(module, name)
    except ImportError as error:
        return "" if "pip install" in str(error) else str(error)
    except AttributeError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("package", PACKAGES)
class TestExportedMembers:
    def test_everything_public_is_listed(self, package: str) -> None:
        """A public name that `__all__` misses would be neither documented nor kept stable."""
        module = importlib.import_module(package)
        unlisted = public_members(module) - set(module.__all__) - {"TYPE_CHECKING"}
        assert not unlisted

    def test_everything_listed_is_there(self, package: str) -> None:
        """A name is an attribute, or its missing library is named in an ImportError that tells the cure."""
        module = importlib.import_module(package)
        assert {name: why for name in module.__all__ if (why := why_missing(module, name))} == {}

    def test_dir_shows_everything_listed(self, package: str) -> None:
        """Completion in an editor or a notebook offers lazy names too."""
        module = importlib.import_module(package)
        assert set(module.__all__) <= set(dir(module))
