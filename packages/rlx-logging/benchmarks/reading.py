"""How long it takes to read a million scalars back, and to restore a trainer's counts.

Usage: python reading.py
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from rlx_logging import JournalLogger, TensorboardLogger, read_metrics

ROWS, KEYS = 50_000, 20
RESTORED_ROWS = 500_000  # 1e7 scalars


class Cost(NamedTuple):
    """What a call took, in seconds."""

    wall: float
    cpu: float


def best(call: Callable[[], object], repetitions: int = 5) -> Cost:
    """Return the least of several calls: other users of the machine only add."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(repetitions):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Cost(min(walls), min(cpus))


def stock(folder: Path) -> Any:
    """Read with TensorBoard's EventAccumulator, keeping every point."""
    module: Any = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    reader = module.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return reader


def write_foreign(folder: Path) -> None:
    """Write a million scalars with torch's writer, one record each."""
    writer: Any = importlib.import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    for step in range(ROWS):
        for key in range(KEYS):
            writer.add_scalar(f"update/k{key:02d}", key + step / 7, step)
    writer.close()


def write_long(folder: Path) -> None:
    """Write ten million scalars into a journal, and then a record of where training stood."""
    logger = JournalLogger(folder)
    for step in range(RESTORED_ROWS):
        logger.write("update/gradient_step", step, {f"k{key:02d}": step / 7 for key in range(KEYS)})
    logger.save_data(1, 2, 3, "epoch {} {} {}".format)
    logger.finalize()


def line(what: str, cost: Cost, goal: str, note: str = "") -> None:
    """Print one line of the table."""
    print(f"| {what} | {cost.wall:.6f} s | {cost.cpu:.6f} s | {goal} | {note} |", flush=True)


def main() -> None:
    """Write the logs, then time the readers."""
    print("| what | wall | CPU | goal | note |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        journal, events = JournalLogger(root / "journal"), TensorboardLogger(root / "own")
        for step in range(ROWS):
            row = {f"k{key:02d}": key + step / 7 for key in range(KEYS)}
            journal.write("update/gradient_step", step, row)
            events.write("update/gradient_step", step, row)
        journal.finalize()
        events.finalize()
        size = (root / "journal" / "metrics.rlxj").stat().st_size
        line(
            "read the journal, 1e6 scalars",
            best(lambda: read_metrics(root / "journal")),
            "0.05 s",
            f"{size / 1e6:.1f} B a scalar",
        )
        own = best(lambda: read_metrics(root / "own"))
        slow = best(lambda: stock(root / "own"), 1)
        (file,) = (root / "own").glob("events*")
        line(
            "read the own event file",
            own,
            "0.25 s",
            f"EventAccumulator {slow.cpu:.1f} s CPU: {slow.cpu / own.cpu:.0f} x; {file.stat().st_size / 1e6:.1f} B a scalar",
        )
        write_long(root / "long")
        line(
            "restore_data beside a journal of 1e7 scalars",
            best(JournalLogger(root / "long").restore_data, 50),
            "0.001 s",
        )
        if importlib.util.find_spec("torch"):
            write_foreign(root / "foreign")
            foreign = best(lambda: read_metrics(root / "foreign"))
            slow = best(lambda: stock(root / "foreign"), 1)
            line(
                "read torch's event file",
                foreign,
                "1 s",
                f"EventAccumulator {slow.cpu:.1f} s CPU: {slow.cpu / foreign.cpu:.0f} x",
            )


if __name__ == "__main__":
    main()
