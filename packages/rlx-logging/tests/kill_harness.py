"""A small training run that is killed and resumed; started by the tests in a process of its own.

Usage: kill_harness.py train FOLDER EPOCHS
       kill_harness.py sweep FOLDER STRIDE OFFSET
"""

import csv
import json
import os
import pickle
import random
import signal
import sys
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import rlx_logging
from rlx_logging import make_logger, read_metrics
from rlx_logging._tensorboard.reader import read_event_files

PACKAGE = str(Path(rlx_logging.__file__).parent)
BACKENDS = "csv,jsonl,tensorboard"


def train(folder: Path, epochs: int) -> None:
    """Train from the last snapshot to the end; every epoch logs in three scopes and is snapshotted."""
    snapshot = folder / "snapshot.pkl"
    state: dict[str, Any] = (
        pickle.loads(snapshot.read_bytes()) if snapshot.exists() else {"epoch": 0, "logger": {}}
    )
    logger = make_logger(BACKENDS, log_dir=folder, train_interval=1, update_interval=1)
    logger.load_state_dict(state["logger"])
    for epoch in range(state["epoch"], epochs):
        for step in range(epoch * 3, epoch * 3 + 3):
            logger.log_update_data({"loss": 1 / (step + 1), "norm": float(step)}, step)
        logger.log_train_data({"steps": epoch * 10}, epoch * 10)
        logger.write("info/epoch", epoch, {"AverageReturn": epoch / 3} | ({"late": 1.0} if epoch > 1 else {}))
        temporary = folder / "snapshot.tmp"
        temporary.write_bytes(pickle.dumps({"epoch": epoch + 1, "logger": logger.state_dict()}))
        temporary.replace(snapshot)
    logger.finalize()


class KillAtLine:
    """A trace function that kills the process at the nth line of the package."""

    def __init__(self, line: int) -> None:
        self.left = line

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        """Follow only frames of the package."""
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def attempt(folder: Path, epochs: int, line: int) -> bool:
    """Train in a forked process that dies at a line; return whether it came to its end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if line:
                sys.settrace(KillAtLine(line))
            train(folder, epochs)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise RuntimeError(f"the attempt that was to die at line {line} failed by itself")
    return os.WIFEXITED(status)


def points(folder: Path) -> dict[str, Any]:
    """Return what every reader sees, wall times left out."""
    accumulator = import_module("tensorboard.backend.event_processing.event_accumulator")
    stock = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    stock.Reload()
    tables: dict[str, Any] = {}
    for path in sorted(folder.glob("progress*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            tables[path.name] = [
                {key: row[key] for key in row if key != "_time"} for row in csv.DictReader(file)
            ]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {
        "tensorboard": {
            tag: [(e.step, e.value) for e in stock.Scalars(tag)] for tag in stock.Tags()["scalars"]
        },
        "own reader": _series(read_event_files(sorted(folder.glob("events*")))),
        "journal": _series(read_metrics(folder)),
        "csv": tables,
        "jsonl": [{key: value for key, value in line.items() if key != "time"} for line in lines],
    }


def _series(metrics: Any) -> dict[str, Any]:
    return {
        tag: list(zip(series.steps.tolist(), series.values.tolist(), strict=True))
        for tag, series in metrics.items()
    }


def sweep(folder: Path, stride: int, offset: int) -> int:
    """Kill at every `stride`-th line, sometimes again in the resumed attempt; return how many kills there were."""
    epochs, kills = 4, 0
    (folder / "whole").mkdir()
    attempt(folder / "whole", epochs, 0)
    expected = points(folder / "whole")
    for line in range(1 + offset, 1_000_000, stride):
        run = folder / str(line)
        run.mkdir()
        ended = attempt(run, epochs, line)
        if ended:
            return kills
        kills += 1
        if line % 3 == 0:
            kills += not attempt(run, epochs, random.Random(line).randrange(1, 400))
        attempt(run, epochs, 0)
        found = points(run)
        if found != expected:
            wrong = [reader for reader in expected if found[reader] != expected[reader]]
            raise RuntimeError(f"killed at line {line}: {wrong} differ from the unbroken run in {run}")
    return kills


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    folder = Path(arguments[1])
    if arguments[0] == "train":
        train(folder, int(arguments[2]))
    else:
        print(sweep(folder, int(arguments[2]), int(arguments[3])))


if __name__ == "__main__":
    main(sys.argv[1:])
