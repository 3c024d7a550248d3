"""A training run that logs to W&B and is killed and resumed; started by the tests in a process of its own.

Usage: wandb_training.py FOLDER EPOCHS HOW

It prints each epoch when its snapshot is committed. HOW: ``snapshot`` resumes by `load_state_dict`, ``trainer`` by
`restore_data` as tianshou's trainers do.
"""

import json
import sys
from pathlib import Path
from typing import Any

from rlx_logging import WandbLogger


def train_with_snapshots(folder: Path, epochs: int) -> None:
    """Train from the last snapshot on; every epoch logs three rows."""
    logger = WandbLogger(folder, project="p", entity="e", finish_seconds=100)
    snapshot, temporary = folder / "state.json", folder / "state.tmp"
    state: dict[str, Any] = (
        json.loads(snapshot.read_text()) if snapshot.exists() else {"epoch": 0, "logger": {}}
    )
    logger.load_state_dict(state["logger"])
    for epoch in range(state["epoch"], epochs):
        for step in (2 * epoch, 2 * epoch + 1):
            logger.write("update/gradient_step", step, {"loss": step / 2})
        logger.write("info/epoch", epoch, {"r": epoch / 2})
        if epoch % 3 == 2:  # so that there are rows which no snapshot covers
            temporary.write_text(json.dumps({"epoch": epoch + 1, "logger": logger.state_dict()}))
            temporary.replace(snapshot)
            logger.committed(epoch)
        print(epoch, flush=True)
    logger.finalize()


def train_with_trainer(folder: Path, epochs: int) -> None:
    """Train on from the last `save_data`; every epoch logs two rows and three of the trainer's counts."""
    logger = WandbLogger(folder, project="p", entity="e", finish_seconds=100, train_interval=1)
    first = logger.restore_data()[0]
    for epoch in range(first + 1, epochs + 1):
        logger.log_train_data({"loss": epoch / 2}, epoch * 100)
        logger.save_data(epoch, epoch * 100, epoch, "epoch {} {} {}".format)
        logger.log_info_data({"r": float(epoch)}, epoch)
        print(epoch, flush=True)
    logger.finalize()


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    train = {"snapshot": train_with_snapshots, "trainer": train_with_trainer}[arguments[2]]
    Path(arguments[0]).mkdir(parents=True, exist_ok=True)
    train(Path(arguments[0]), int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
