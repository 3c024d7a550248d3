# pyright: basic
"""Saving and loading beside the peers, in one run, against memcpy on the same machine.

    python benchmarks/compare.py [--directory DIR] [--medium MIB] [--replay MIB] [--repeats N]

Needs numpy and torch; safetensors where it is installed. Prints a table in Markdown. Every
figure is the best and the median of the repeats, in milliseconds; peers take turns.
"""

import argparse
import contextlib
import importlib
import os
import shutil
import statistics
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import torch
from _loads import time_imports, time_loads, time_verification
from _payloads import MIB, advance, medium, replay, small, tensors_of
from _timing import Times, milliseconds, on_a_clean_disk, show

from rlx_snapshot import Snapshotter
from rlx_snapshot._saving.slots import Slots

dcp: Any = importlib.import_module("torch.distributed.checkpoint")


def synced(path: Path) -> None:
    """Make a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def writers(directory: Path, state: Any) -> dict[str, Callable[[], object]]:
    """The peers that save in the foreground, as their documentation shows."""
    tensors = tensors_of(state)

    def garage() -> None:
        with (directory / "garage.pkl").open("wb") as file:
            cloudpickle.dump(state, file)

    found: dict[str, Callable[[], object]] = {
        "cloudpickle.dump (garage)": garage,
        "torch.save": lambda: torch.save(state, directory / "torch.pt"),
    }
    with contextlib.suppress(ModuleNotFoundError):
        from safetensors.torch import save_file

        found["safetensors (tensors only)"] = lambda: save_file(tensors, directory / "peer.safetensors")
    return found


FILES = {
    "cloudpickle.dump (garage)": "garage.pkl",
    "torch.save": "torch.pt",
    "safetensors (tensors only)": "peer.safetensors",
}


def time_saves(directory: Path, state: Any, repeats: int, *, size: int) -> tuple[Times, Times]:
    """Stall, and time until durable, of all writers in turns."""
    stall: Times = {}
    durable: Times = {}
    source, target = np.ones(size, dtype="u1"), np.ones(size, dtype="u1")
    background = Snapshotter(directory / "background", background=True, incremental="never")
    foreground = Snapshotter(directory / "foreground")
    tensors = tensors_of(state)
    arrays = [tensor.reshape(-1).view(torch.uint8).numpy() for tensor in tensors.values() if tensor.dim()]
    for itr in range(repeats + 1):
        stall.setdefault("memcpy into touched memory", []).append(
            milliseconds(lambda: np.copyto(target, source))
        )
        stall.setdefault("memcpy, array by array", []).append(milliseconds(lambda: copy_each(arrays, target)))
        stall.setdefault("rlx, background", []).append(
            on_a_clean_disk(lambda itr=itr: background.save_itr_params(itr, state))
        )
        background.wait()
        foreground_time = on_a_clean_disk(lambda itr=itr: foreground.save_itr_params(itr, state))
        durable.setdefault("rlx, foreground", []).append(foreground_time)
        for name, write in writers(directory, state).items():
            stall.setdefault(name, []).append(on_a_clean_disk(write))
            rest = milliseconds(lambda name=name: synced(directory / FILES[name]))
            durable.setdefault(f"{name} + fsync", []).append(stall[name][-1] + rest)
        stall.setdefault("torch DCP async_save (tensors only)", []).append(_async_save(directory, tensors))
    background.close()
    return stall, durable


def copy_each(arrays: list[Any], target: Any) -> None:
    """Copy arrays one after the other, as any copy of a state of many must."""
    start = 0
    for array in arrays:
        target[start : start + len(array)] = array
        start += len(array)


def _async_save(directory: Path, tensors: dict[str, torch.Tensor]) -> float:
    shutil.rmtree(directory / "dcp", ignore_errors=True)
    start = time.perf_counter()
    future = dcp.async_save(dict(tensors), checkpoint_id=str(directory / "dcp"), no_dist=True)
    stall = (time.perf_counter() - start) * 1e3
    future.result()
    return stall


def time_replay(directory: Path, state: dict[str, Any], repeats: int) -> tuple[Times, list[int]]:
    """Stall and durability of a replay buffer of which two per cent change, and the bytes written."""
    times: Times = {}
    written: list[int] = []
    original = Slots.write

    def write(self: Slots, *arguments: Any) -> int:
        written.append(original(self, *arguments))
        return written[-1]

    setattr(Slots, "write", write)  # noqa: B010 - counts what the real one writes
    with Snapshotter(directory / "replay", background=True) as snapshotter:
        for itr in range(repeats + 3):
            advance(state)
            stall = milliseconds(lambda itr=itr: snapshotter.save_itr_params(itr, state))
            rest = milliseconds(snapshotter.wait)
            if itr >= 3:  # the first three write two whole files
                times.setdefault("rlx, incremental: stall", []).append(stall)
                times.setdefault("rlx, incremental: durable", []).append(stall + rest)
        garage = writers(directory, state)["cloudpickle.dump (garage)"]
        for _ in range(max(2, repeats // 3)):
            times.setdefault("cloudpickle.dump (garage): stall", []).append(milliseconds(garage))
    return times, written[3:]


def time_lost(directory: Path, state: Any, repeats: int) -> Times:
    """How much longer 1,500 steps of training take while one save continues."""
    network = torch.nn.Linear(256, 256)
    batch = torch.randn(64, 256)

    def train() -> None:
        for _ in range(1500):
            network(batch).sum().backward()

    def torch_thread() -> None:
        thread = threading.Thread(target=lambda: torch.save(state, directory / "thread.pt"))
        thread.start()
        train()
        thread.join()

    def rlx() -> None:
        snapshotter.save_itr_params(0, state)
        train()
        snapshotter.wait()

    times: Times = {}
    with Snapshotter(directory / "lost", background=True, incremental="never") as snapshotter:
        rlx()
        for _ in range(repeats):
            alone = milliseconds(train)
            times.setdefault("rlx, background", []).append(on_a_clean_disk(rlx) - alone)
            times.setdefault("torch.save in a thread", []).append(on_a_clean_disk(torch_thread) - alone)
    return times


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--medium", type=int, default=256)
    parser.add_argument("--replay", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)  # one core trains, the other one saves
    directory = Path(tempfile.mkdtemp(prefix="rlx-benchmark-", dir=options.directory))
    try:
        _run(directory, options)
    finally:
        shutil.rmtree(directory)


def _run(directory: Path, options: argparse.Namespace) -> None:
    repeats = options.repeats
    stall, durable = time_saves(directory, small(), 6 * repeats, size=MIB)
    show("Small state (1 MB of networks + Adam): stall", stall)
    show("Small state: durable", durable)
    state = medium(options.medium)
    stall, durable = time_saves(directory, state, repeats, size=options.medium * MIB)
    base = "memcpy into touched memory"
    show(f"{options.medium} MiB in 200 arrays: stall", stall, base=base)
    show(f"{options.medium} MiB in 200 arrays: durable", durable)
    show("Training time lost to one save", time_lost(directory, state, repeats))
    del state
    buffer = replay(options.replay)
    times, written = time_replay(directory, buffer, 2 * repeats)
    show(f"Replay of {options.replay} MiB, 2 % changed", times)
    changed = sum(
        array[: len(array) // 50].nbytes for array in buffer.values() if isinstance(array, np.ndarray)
    )
    print(f"\nbytes written per changed byte: {statistics.median(written) / changed:.2f}")
    path = directory / "replay/params.pkl"
    show("Verification of a file just written", time_verification(path, repeats))
    show("Restore to first use", time_loads(directory, buffer, repeats))
    show("Verification of a file read from the disk before", time_verification(path, repeats))
    show("Import", time_imports(4 * repeats))


if __name__ == "__main__":
    main()
