"""Import one package in an environment that holds nothing else, and say what the import costs.

Run by the `alone` session: ``python -I alone.py rlx-snapshot``. Exits 1 where the import loads a library
that it should leave alone until it is used.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Mapping
from typing import Final

LOADED_AT_IMPORT: Final[Mapping[str, frozenset[str]]] = {
    "rlx-protocols": frozenset(),
    "rlx-snapshot": frozenset({"cloudpickle", "xxhash"}),
    "rlx-experiment": frozenset({"cloudpickle"}),
    "rlx-sampler": frozenset({"rlx_protocols", "numpy", "cloudpickle"}),
    "rlx-runner": frozenset({"rlx_protocols", "rlx_snapshot", "numpy", "cloudpickle", "xxhash", "psutil"}),
    "rlx-persistence": frozenset({"xxhash"}),
    "rlx-logging": frozenset(),
}
"""Which libraries each package may load when it is imported; everything else waits until it is used."""

MADE_BY_EXTENSIONS: Final = frozenset({"cython_runtime"})
"""Modules that belong to no library: compiled extensions, NumPy's among them, make them when they load."""


def loaded_libraries() -> frozenset[str]:
    """Top-level names of all loaded modules that are not the interpreter's own."""
    names = {name.partition(".")[0] for name in sys.modules}
    return frozenset(
        name for name in names if name not in sys.stdlib_module_names and not name.startswith("_")
    )


def main(package: str) -> int:
    """Import `package`, print what that took, and judge it."""
    module = package.replace("-", "_")
    before = loaded_libraries()
    start = time.perf_counter()
    importlib.import_module(module)
    elapsed = time.perf_counter() - start
    loaded = loaded_libraries() - before - MADE_BY_EXTENSIONS - {module}
    print(f"{package}: imported in {elapsed * 1000:.0f} ms, loads {', '.join(sorted(loaded)) or 'nothing'}")
    unwanted = sorted(loaded - LOADED_AT_IMPORT[package])
    if unwanted:
        print(f"{package}: the import should not load {', '.join(unwanted)}")
    return 1 if unwanted else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
