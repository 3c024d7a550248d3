"""Kills a process that saves policies back to back, and counts what is lost.

Usage: ``python kill_harness.py FOLDER MODE KILLS SEED WRITER``; prints a JSON document.
WRITER is ``atomic`` (the package as it is) or ``in-place`` (a mutant that writes into
the published file, as ``torch.save(policy, path)`` does).
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from rlx_persistence import FolderWorld, PolicyPersistence

SIZE = 250_000  # numbers of 8 bytes


class Policy:
    """A policy whose numbers are all the number of its save."""

    def __init__(self) -> None:
        self.weights = np.zeros(SIZE)

    def state_dict(self) -> dict[str, Any]:
        """Return the weights."""
        return {"weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the weights."""
        self.weights = state["weights"]

    def fill(self, number: int) -> None:
        """Become the policy of save `number`."""
        self.weights[:] = number

    def number(self) -> int | None:
        """Return the number of the save; None if two saves are mixed."""
        first = int(self.weights[0])
        return first if bool(np.all(self.weights == first)) else None


def torch_policy() -> Any:
    """Return the like of Policy as a torch module."""
    import torch

    torch.set_num_threads(1)  # a forked process has no thread pool

    class TorchPolicy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights: torch.Tensor
            self.register_buffer("weights", torch.zeros(SIZE, dtype=torch.float64))

        def fill(self, number: int) -> None:
            self.weights.fill_(number)

        def number(self) -> int | None:
            first = int(self.weights[0])
            return first if bool((self.weights == first).all()) else None

    return TorchPolicy()


@contextlib.contextmanager
def in_place(path: str | os.PathLike[str], *, synced: bool = True) -> Generator[BinaryIO, None, None]:
    """Write into the published file itself: the mutant."""
    with Path(path).open("wb") as file:
        yield file


def save_for_ever(
    policy: Any, persistence: PolicyPersistence, world: FolderWorld, saved: int, pipe: int
) -> None:
    """Save one policy after the other and tell of each one that is saved."""
    while True:
        saved += 1
        policy.fill(saved)
        persistence.persist(policy, world)
        os.write(pipe, saved.to_bytes(8, "little"))


def kill_once(
    policy: Any, persistence: PolicyPersistence, world: FolderWorld, saved: int, delay: float
) -> int:
    """Start a saving process, kill it `delay` seconds after its first save; return its last save."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        save_for_ever(policy, persistence, world, saved, writer)
    os.close(writer)
    with open(reader, "rb", buffering=0) as told:  # noqa: PTH123 - a descriptor
        saved = int.from_bytes(told.read(8), "little")
        end = time.monotonic() + delay
        while (left := end - time.monotonic()) > 0 and select.select([told], [], [], left)[0]:
            saved = int.from_bytes(told.read(8), "little")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while last := told.read(8):
            saved = int.from_bytes(last, "little")
    return saved


def survived(policy: Any, persistence: PolicyPersistence, world: FolderWorld, saved: int) -> bool:
    """Whether the last save that was reported, or the one after it, is there and whole."""
    policy.fill(0)
    try:
        persistence.restore(policy, world, "cpu")
    except Exception:  # noqa: BLE001 - whatever goes wrong, the policy is lost
        return False
    return policy.number() in (saved, saved + 1)


def main(folder: str, mode: str, kills: str, seed: str, writer: str) -> None:
    """Kill and count."""
    if writer == "in-place":
        vars(sys.modules["rlx_persistence._files"])["replacing"] = in_place
    world = FolderWorld(folder, folder)
    persistence = PolicyPersistence(mode=PolicyPersistence.Mode[mode])
    policy = torch_policy() if mode == "POLICY_STATE_DICT" else Policy()
    instants = random.Random(int(seed))
    saved = lost = 0
    for _ in range(int(kills)):
        saved = kill_once(policy, persistence, world, saved, instants.uniform(0, 0.02))
        lost += not survived(policy, persistence, world, saved)
        for leftover in Path(folder).glob(".*.tmp"):
            leftover.unlink()
    print(json.dumps({"kills": int(kills), "saves": saved, "lost": lost}))


if __name__ == "__main__":
    main(*sys.argv[1:])
