# pyright: basic
"""Saving beside orbax-checkpoint, in one run, against memcpy on the same machine.

    python benchmarks/compare_orbax.py [--directory DIR] [--medium MIB] [--repeats N]

Needs numpy, jax and orbax-checkpoint, which are best given an environment of their own.
The states are NumPy arrays only, as orbax holds arrays: 256 MiB in 200 of them, and the
arrays of a 1 MB policy with Adam. Prints a table in Markdown, in milliseconds.
"""

import argparse
import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _timing import Times, milliseconds, show

from rlx_snapshot import Snapshotter

MIB = 1 << 20
try:
    ocp: Any = importlib.import_module("orbax.checkpoint")
except ModuleNotFoundError:
    print("orbax-checkpoint is not installed here; give it an environment of its own")
    sys.exit(0)


def small() -> dict[str, Any]:
    """The parameters of two networks of 1 MB together with Adam's two averages."""
    shapes = [(128, 17), (128,), (128, 128), (128,), (128, 128), (128,), (6, 128), (6,)]
    chance = np.random.default_rng(0)
    return {
        f"{kind}{network}": {f"w{n}": chance.random(shape, dtype="f4") for n, shape in enumerate(shapes)}
        for kind in ("parameters", "average", "square")
        for network in (0, 1)
    }


def medium(mib: int) -> dict[str, Any]:
    """200 arrays of the same size."""
    size = mib * MIB // 200 // 4
    return {f"a{n}": np.random.default_rng(n).random(size, dtype="f4") for n in range(200)}


def time_saves(directory: Path, state: Any, repeats: int, *, size: int) -> Times:
    """Stall and time until done of both, in turns."""
    times: Times = {}
    source, target = np.ones(size, dtype="u1"), np.ones(size, dtype="u1")
    theirs = ocp.AsyncCheckpointer(ocp.StandardCheckpointHandler())
    with Snapshotter(directory / "rlx", background=True, incremental="never") as ours:
        for itr in range(repeats + 1):
            memcpy = milliseconds(lambda: np.copyto(target, source))
            times.setdefault("memcpy into touched memory", []).append(memcpy)
            _note(times, "rlx, background", lambda itr=itr: ours.save_itr_params(itr, state), ours.wait)
            path = directory / f"orbax-{itr}"
            save = lambda path=path: theirs.save(path, args=ocp.args.StandardSave(state))  # noqa: E731
            _note(times, "orbax AsyncCheckpointer", save, theirs.wait_until_finished)
            shutil.rmtree(path)
    theirs.close()
    return times


def _note(times: Times, name: str, save: Callable[[], object], wait: Callable[[], object]) -> None:
    stall = milliseconds(save)
    times.setdefault(f"{name}: stall", []).append(stall)
    times.setdefault(f"{name}: durable", []).append(stall + milliseconds(wait))


def main() -> None:
    """Run both payloads and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--medium", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="rlx-benchmark-", dir=options.directory))
    try:
        times = time_saves(directory / "small", small(), 3 * options.repeats, size=MIB)
        show("Small state (1 MB of networks + Adam, arrays only)", times)
        state, size = medium(options.medium), options.medium * MIB
        times = time_saves(directory / "medium", state, options.repeats, size=size)
        show(f"{options.medium} MiB in 200 arrays", times)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
