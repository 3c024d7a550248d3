"""Save and restore a policy of 100 MB, beside torch and safetensors.

Usage: ``python policies.py [FOLDER]``; prints the best of 15 rounds, and ratios.
The rivals take turns, so that a busy machine is busy for all of them.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rlx_persistence import FolderWorld, PolicyPersistence

ROUNDS = 15
Mode = PolicyPersistence.Mode
library: Any = import_module("safetensors.torch")  # its annotations are not complete


def policy_of_100_megabytes() -> torch.nn.Module:
    """Return a policy of 25 layers of a million float32 weights."""
    return torch.nn.Sequential(*(torch.nn.Linear(1000, 1000) for _ in range(25)))


def synced(path: Path) -> None:
    """Wait until the file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


class Taken(NamedTuple):
    """Milliseconds that passed, and milliseconds of processor time."""

    wall: float
    cpu: float


def take_turns(rivals: Mapping[str, Callable[[], object]]) -> dict[str, Taken]:
    """Return each rival's best times."""
    times: dict[str, list[Taken]] = {name: [] for name in rivals}
    for _ in range(ROUNDS):
        for name, rival in rivals.items():
            wall, cpu = time.perf_counter(), time.process_time()
            rival()
            times[name].append(Taken(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)))
    return {name: Taken(*map(min, zip(*taken, strict=True))) for name, taken in times.items()}


def report(title: str, best: Mapping[str, Taken], pairs: list[tuple[str, str]]) -> None:
    """Print times and ratios."""
    print(f"{title}: wall, CPU")
    for name, taken in best.items():
        print(f"  {taken.wall:8.1f} ms {taken.cpu:8.1f} ms  {name}")
    for ours, theirs in pairs:
        wall, cpu = best[ours].wall / best[theirs].wall, best[ours].cpu / best[theirs].cpu
        print(f"  {wall:8.2f} x  {cpu:8.2f} x   {ours} / {theirs}")


def main(folder: Path) -> None:
    """Measure."""
    policy, world = policy_of_100_megabytes(), FolderWorld(folder, folder)
    by_torch, by_safetensors = folder / "torch.pt", folder / "library.safetensors"
    kept = {mode: PolicyPersistence(mode=mode) for mode in Mode}

    def torch_save() -> None:
        torch.save(policy.state_dict(), by_torch)
        synced(by_torch)

    def safetensors_save() -> None:
        library.save_file(policy.state_dict(), by_safetensors)
        synced(by_safetensors)

    saves: dict[str, Callable[[], object]] = {
        f"persist, mode {mode.name}": partial(kept[mode].persist, policy, world) for mode in Mode
    }
    saves |= {"torch.save + fsync": torch_save, "safetensors save_file + fsync": safetensors_save}
    best = take_turns(saves)
    pairs = [(f"persist, mode {mode.name}", "torch.save + fsync") for mode in Mode]
    report("save", best, pairs)

    restores: dict[str, Callable[[], object]] = {
        f"restore, mode {mode.name}": partial(kept[mode].restore, policy, world, "cpu") for mode in Mode
    }
    restores |= {
        "torch.load": lambda: torch.load(by_torch, weights_only=True),
        "torch.load + load_state_dict": lambda: policy.load_state_dict(
            torch.load(by_torch, weights_only=True)
        ),
        "safetensors load_model": lambda: library.load_model(policy, by_safetensors),
    }
    pairs = [(f"restore, mode {mode.name}", "torch.load + load_state_dict") for mode in Mode]
    pairs += [("restore, mode POLICY_STATE_DICT", "torch.load")]
    pairs += [("restore, mode SAFETENSORS", "safetensors load_model")]
    report("restore", take_turns(restores), pairs)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as temporary:
        main(Path(temporary))
