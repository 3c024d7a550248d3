"""What the package shows is what it lists."""

from types import ModuleType

import pytest

import rlx_protocols
import rlx_protocols.testing


@pytest.mark.parametrize("module", [rlx_protocols, rlx_protocols.testing])
def test_all_lists_every_public_name(module: ModuleType) -> None:
    """Every public class and function of the module is in __all__, and nothing else."""
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(module.__all__)
