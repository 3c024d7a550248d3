"""What does a snapshot every epoch cost, where a replay buffer holds a million transitions?

Saves a SAC run after every epoch of 1,000 new transitions: whole, as garage does it
(cloudpickle), whole by rlx-snapshot, and only what has changed. The last snapshot is
loaded again and compared with the buffer in memory, bit for bit.

Usage: python examples/benchmarks/replay_snapshots.py [--rows 1000000] [--epochs 10]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import sac_hopper as sac
from rlx_sampler import EpisodeBatch
from rlx_snapshot import Snapshotter

WARM_UP = 4
"""First saves, which write everything; they are left out of the table."""


@dataclass(frozen=True)
class Cost:
    """Median cost of a snapshot.

    Args:
        stall_ms: Time for which training waits.
        durable_ms: Time until it is on the disk.
        cpu_ms: CPU time of the whole process.
        written_mb: Bytes given to the system to write, in MB.
    """

    stall_ms: float
    durable_ms: float
    cpu_ms: float
    written_mb: float


class WholePickle:
    """Saves as garage's snapshotter does: one cloudpickle, in the foreground, and fsync for fairness."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "params.pkl"

    def save_itr_params(self, itr: int, params: object) -> None:
        """Write everything."""
        del itr
        with self._path.open("wb") as file:
            cloudpickle.dump(params, file)
            file.flush()
            os.fsync(file.fileno())

    def wait(self) -> None:
        """Do nothing: the save is done."""


def make_state(rows: int) -> dict[str, Any]:
    """Return a run whose replay buffer is full."""
    replay, rng = sac.ReplayBuffer(rows, n_inputs=11, n_actions=3), np.random.default_rng(0)
    while len(replay) < rows:
        replay.add(steps(rng, 10_000))
    algo = sac.SAC(sac.SquashedGaussianPolicy(11, 3), sac.TwinCritics(11, 3), replay, n_actions=3, seed=1)
    return {"algo": algo, "replay": replay}


def steps(rng: np.random.Generator, size: int) -> EpisodeBatch:
    """Return `size` transitions of an invented episode."""
    return EpisodeBatch(
        observations=rng.standard_normal((size, 11)),
        last_observations=rng.standard_normal((1, 11)),
        actions=rng.standard_normal((size, 3)),
        rewards=rng.standard_normal(size),
        step_types=np.array([0, *[1] * (size - 2), 3]),
        lengths=np.array([size]),
    )


def written() -> int:
    """Return the bytes that this process has given to the system to write."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["wchar"])


def measure(store: Any, state: dict[str, Any], epochs: int) -> Cost:
    """Return the median cost of a save after each epoch."""
    rng = np.random.default_rng(1)
    rows: list[tuple[float, float, float, float]] = []
    for epoch in range(WARM_UP + epochs):
        state["replay"].add(steps(rng, 1000))
        began, cpu, before = time.perf_counter(), time.process_time(), written()
        store.save_itr_params(epoch, state)
        stalled = time.perf_counter() - began
        store.wait()
        durable = time.perf_counter() - began
        rows.append(
            (1e3 * stalled, 1e3 * durable, 1e3 * (time.process_time() - cpu), (written() - before) / 1e6)
        )
    return Cost(*map(float, np.median(rows[WARM_UP:], axis=0)))


def main() -> int:
    """Print the table; return 1 if the snapshot that was loaded is another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores: dict[str, Callable[[Path], Any]] = {
        "whole, cloudpickle + fsync": WholePickle,
        "whole, rlx-snapshot": lambda folder: Snapshotter(folder, background=True, incremental="never"),
        "changes, rlx-snapshot": lambda folder: Snapshotter(folder, background=True),
    }
    print(f"{arguments.rows:,} transitions, 1,000 new ones an epoch, medians of {arguments.epochs} epochs\n")
    print(
        "| snapshot | training waits (ms) | durable after (ms) | CPU (ms) | written (MB) |\n|---|---|---|---|---|"
    )
    equal = True
    for name, make in stores.items():
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
            state = make_state(arguments.rows)
            cost = measure(make(Path(folder)), state, arguments.epochs)
            print(
                f"| {name} | {cost.stall_ms:.1f} | {cost.durable_ms:.1f} | {cost.cpu_ms:.1f} | {cost.written_mb:.2f} |"
            )
            loaded = Snapshotter(folder).load(folder)
            equal &= same(loaded["replay"], state["replay"])
    print(f"\nThe last snapshots load {'bit for bit as they were' if equal else 'WITH OTHER VALUES'}.")
    return 0 if equal else 1


def same(left: sac.ReplayBuffer, right: sac.ReplayBuffer) -> bool:
    """Whether two buffers hold the same bits."""
    arrays = [vars(buffer)["_rows"] for buffer in (left, right)]
    return len(left) == len(right) and all(map(torch.equal, *arrays))


if __name__ == "__main__":
    raise SystemExit(main())
