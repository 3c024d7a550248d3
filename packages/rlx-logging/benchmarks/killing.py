"""How many rows are lost when a process is killed right after the call returned.

Usage: python killing.py [KILLS] [ROWS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from rlx_logging import read_metrics

WRITER = """
import os, signal, sys
from rlx_logging import make_logger
logger = make_logger("csv,jsonl,tensorboard", log_dir=sys.argv[1])
for step in range(int(sys.argv[2])):
    logger.write("update/gradient_step", step, {"loss": 0.5, "norm": 1.5})
os.kill(os.getpid(), signal.SIGKILL)
"""


def lost(rows: int) -> int:
    """Return how many rows are missing from any file after a kill."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", WRITER, str(folder), str(rows)], check=False)
        (events,) = folder.glob("events*")
        found = [
            len(read_metrics(folder)["update/loss"]),
            len(read_metrics(events)["update/loss"]),
            len((folder / "progress-update.csv").read_text().splitlines()) - 1,
            len((folder / "metrics.jsonl").read_text().splitlines()),
        ]
    return rows - min(found)


def main() -> None:
    """Kill and count."""
    kills, rows = (int(text) for text in (sys.argv[1:] + ["100", "10000"][len(sys.argv) - 1 :]))
    total = sum(lost(rows) for _ in range(kills))
    print(f"{total} of {kills} x {rows} rows lost")


if __name__ == "__main__":
    main()
