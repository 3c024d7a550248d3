"""Which libraries a state comes from is recorded; what has changed when it is loaded is named."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from rlx_snapshot import Snapshotter, describe

SIMULATOR = """
class Simulator:
    def __init__(self): self.model = "model of 1.0"
    def __getstate__(self): return self.model
    def __setstate__(self, model):
        import importlib.metadata
        if not model.endswith(importlib.metadata.version("simulator-lib")):
            raise RuntimeError("invalid serialized model")
        self.model = model
"""


class Own:
    """A class of the program, which no library has."""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a library of another name than its package is installed, in version 1.0."""
    place = tmp_path / "site-packages"
    place.mkdir()
    (place / "simulator_package.py").write_text(SIMULATOR)
    install(place, "1.0")
    monkeypatch.setattr(sys, "path", [str(place), *sys.path])
    importlib.invalidate_caches()
    return place


def install(place: Path, version: str) -> None:
    """Put a version of the library there, in place of another."""
    for old in place.glob("*.dist-info/*"):
        old.unlink()
    info = place / f"simulator_lib-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: simulator-lib\nVersion: {version}\n")
    (info / "top_level.txt").write_text("simulator_package\n")
    (info / "RECORD").write_text("simulator_package.py,,\n")
    for old in place.glob("*.dist-info"):
        if old != info:
            old.rmdir()


def test_change_of_a_library_is_named(tmp_path: Path, installed: Path) -> None:
    """The file has its distribution and version, the error of a load that fails both versions."""
    simulator: Any = importlib.import_module("simulator_package")
    snapshotter = Snapshotter(tmp_path)
    snapshotter.save_itr_params(0, {"env": [simulator.Simulator()], "own": Own()})
    versions = dict(describe(tmp_path / "params.pkl").versions)
    assert versions.pop("simulator-lib") == "1.0"
    assert not {"rlx-snapshot", Own.__module__} & set(versions)
    snapshotter.load(tmp_path)
    assert snapshotter.changed_libraries == {}
    install(installed, "2.0")
    importlib.invalidate_caches()
    with pytest.raises(RuntimeError, match="invalid serialized model") as raised:
        snapshotter.load(tmp_path)
    assert "simulator-lib was 1.0, is 2.0" in raised.value.__notes__[0]


def test_change_that_does_not_matter_to_loading_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that loads under another version is returned, and the change can be asked for."""
    numpy: Any = pytest.importorskip("numpy", reason="needs numpy")
    snapshotter = Snapshotter(tmp_path)
    snapshotter.save_itr_params(0, numpy.ones(3))
    saved = describe(tmp_path / "params.pkl").versions
    monkeypatch.setattr("importlib.metadata.version", {**saved, "numpy": "0.9"}.get)
    assert snapshotter.load(tmp_path).tolist() == [1.0] * 3
    assert snapshotter.changed_libraries == {"numpy": (numpy.__version__, "0.9")}
