# pyright: basic
"""Loading and checking beside the peers, and what an import costs."""

import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _payloads import tensors_of
from _timing import Times, milliseconds

from rlx_snapshot import Snapshotter, verify


def time_loads(directory: Path, state: dict[str, Any], repeats: int) -> Times:
    """Restore of the replay buffer to the first use of every array, warm and cold."""
    times: Times = {}
    torch.save(tensors_of(state), directory / "torch.pt")

    def first_use(loaded: dict[str, Any]) -> float:
        return sum(float(array.reshape(-1)[0]) for array in loaded.values() if not isinstance(array, int))

    def garage() -> Any:
        with (directory / "garage.pkl").open("rb") as file:
            return pickle.load(file)

    reader = Snapshotter(directory / "reader")
    path = directory / "replay/params.pkl"
    ways: dict[str, tuple[Path, Callable[[], Any]]] = {
        "rlx, verify='index'": (path, lambda: reader.load(path.parent, verify="index")),
        "rlx, verify='full'": (path, lambda: reader.load(path.parent)),
        "pickle.load of cloudpickle.dump": (directory / "garage.pkl", garage),
        "torch.load(mmap=True), tensors only": (
            directory / "torch.pt",
            lambda: torch.load(directory / "torch.pt", mmap=True),
        ),
    }
    with contextlib.suppress(ModuleNotFoundError):
        from safetensors.torch import load_file, save_file

        file = directory / "peer.safetensors"
        save_file(tensors_of(state), file)
        ways["safetensors load_file, tensors only"] = (file, lambda: load_file(file))
    os.sync()
    for _ in range(repeats):
        for name, (file, load) in ways.items():
            for cold in (False, True):
                if cold:
                    evict(file)
                took = milliseconds(lambda load=load: first_use(load()))
                times.setdefault(f"{name}, {'cold' if cold else 'warm'}", []).append(took)
                reader.wait()
    return times


def evict(path: Path) -> None:
    """Drop a file from the page cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def time_verification(path: Path, repeats: int) -> Times:
    """Reading memory, and verifying a file in the page cache."""
    memory = np.ones(path.stat().st_size // 8, dtype="u8")
    times: Times = {}
    for _ in range(repeats):
        times.setdefault("memory read of the same size", []).append(milliseconds(memory.max))
        times.setdefault("rlx verify", []).append(milliseconds(lambda: verify(path)))
    return times


def time_imports(repeats: int) -> Times:
    """Starting Python, and importing what is named, each in a process of its own."""
    times: Times = {}
    for _ in range(repeats):
        for what in ("pass", "import cloudpickle", "import rlx_snapshot"):
            command = [sys.executable, "-c", what]
            took = milliseconds(lambda command=command: subprocess.run(command, check=True))
            times.setdefault(f"python -c '{what}'", []).append(took)
    return times
