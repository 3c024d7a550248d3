"""What the package shows."""

import subprocess
import sys

import rlx_snapshot


def test_every_public_name_is_exported_and_listed() -> None:
    """`__all__` is sorted and holds every public name that the package binds."""
    public = {
        name
        for name, value in vars(rlx_snapshot).items()
        if not name.startswith("_") and not _is_module(value)
    }
    assert sorted(public) == list(rlx_snapshot.__all__)


def test_import_brings_neither_numpy_nor_torch() -> None:
    """Importing the package loads no array library."""
    code = "import sys, rlx_snapshot; print([m for m in ('numpy', 'torch', 'gymnasium', 'fsspec') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def _is_module(value: object) -> bool:
    return isinstance(value, type(sys))
