"""What the package shows is what it lists."""

from types import ModuleType

import rlx_runner


def test_all_lists_every_public_name() -> None:
    """Every public name of the package is in __all__, and nothing else."""
    public = {
        name
        for name, value in vars(rlx_runner).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(rlx_runner.__all__)
