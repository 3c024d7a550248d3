"""Files of other programs, as garage wrote them: plain pickles without a checksum."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from rlx_snapshot import DamagedSnapshotError, SnapshotFallbackWarning, Snapshotter

MODULE = """
class Policy:
    def __init__(self, name): self.name, self.weights = name, [0.5] * 20
class Sampler:
    def __init__(self, policy): self.policy, self.n_workers = policy, 4
class Algorithm:
    def __init__(self): self.policy = Policy("gauss"); self.sampler = Sampler(self.policy); self.discount = 0.99
"""
FLIPS = """
import sys
from pathlib import Path
from rlx_snapshot import DamagedSnapshotError, Snapshotter

directory, broken = Path(sys.argv[1]), 0
intact = (directory / "intact").read_bytes()
reader = Snapshotter(directory)
names = [(intact.index(name), len(name)) for name in (b"old_trainer", b"Algorithm", b"Policy", b"Sampler")]
for position in [at for start, length in names for at in range(start, start + length)]:
    flipped = bytearray(intact)
    flipped[position] ^= 1 << position % 8
    (directory / "itr_5.pkl").write_bytes(flipped)
    try:
        reader.load(directory)
    except DamagedSnapshotError:
        broken += 1
print(broken)
"""
"""In a program of its own: what the flips change may be the program that loads them."""


@pytest.fixture
def pickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What garage saves of a run: set-up, statistics, environment and algorithm, of an importable module."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules/old_trainer.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    module: Any = importlib.import_module("old_trainer")
    algorithm = module.Algorithm()
    state: dict[str, Any] = {
        "seed": 3,
        "train_args": {"n_epochs": 10, "batch_size": 4000},
        "stats": {"total_epoch": 5, "total_env_steps": 20000},
        "schedule": _schedule(0.9),
        "algo": algorithm,
        "n_workers": algorithm.sampler.n_workers,
    }
    dumps: Any = vars(cloudpickle)["dumps"]
    written = bytes(dumps(state))
    monkeypatch.delitem(sys.modules, "old_trainer")
    return written


def _schedule(base: float) -> Callable[[int], float]:
    return lambda epoch: base**epoch


def test_intact_file_loads(tmp_path: Path, pickled: bytes) -> None:
    """Classes, functions and aliases come back."""
    (tmp_path / "itr_5.pkl").write_bytes(pickled)
    state = Snapshotter(tmp_path).load(tmp_path)
    assert state["algo"].sampler.policy is state["algo"].policy
    assert state["schedule"](1) == 0.9


def test_flipped_bits_raise_one_kind_of_error(tmp_path: Path, pickled: bytes) -> None:
    """In the name of a module or class: no module, no class, no text at all, always a DamagedSnapshotError."""
    (tmp_path / "intact").write_bytes(pickled)
    modules = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "modules"), *sys.path])}
    command = [sys.executable, "-c", FLIPS, str(tmp_path)]
    environment = {**os.environ, **modules}
    done = subprocess.run(command, input="", capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) == len("old_trainer" + "Algorithm" + "Policy" + "Sampler")


def test_last_falls_back_from_a_broken_name(tmp_path: Path, pickled: bytes) -> None:
    """A bit in the name of a class costs the newest file, not the run."""
    (tmp_path / "itr_4.pkl").write_bytes(pickled)
    (tmp_path / "itr_5.pkl").write_bytes(pickled.replace(b"Sampler", b"Sam0ler"))
    with pytest.warns(SnapshotFallbackWarning, match=r"itr_4\.pkl.*itr_5\.pkl: .*AttributeError .*Sam0ler"):
        assert Snapshotter(tmp_path).load(tmp_path)["seed"] == 3


def test_missing_module_is_named(tmp_path: Path, pickled: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the classes are not installed, the error leads to what is missing."""
    (tmp_path / "itr_5.pkl").write_bytes(pickled)
    monkeypatch.setitem(sys.modules, "old_trainer", None)
    with pytest.raises(
        DamagedSnapshotError, match="classes are missing here: then install the module"
    ) as caught:
        Snapshotter(tmp_path).load(tmp_path)
    assert "ModuleNotFoundError" in str(caught.value)
    assert "old_trainer" in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
