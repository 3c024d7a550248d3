"""A training that takes as long as one likes and is exact: a random walk whose every epoch is logged.

``slow_walk.py sweep slurm|ray FOLDER RESULT POINTS OPTIONS`` runs a sweep; points and options are JSON. ``slow_walk.py --log-dir ...`` is one
run.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from rlx_experiment import ExperimentContext, Ray, Slurm, wrap_experiment
from rlx_runner import LocalRunner, set_seed


class Walk:
    """Draws from two generators and logs the sums, with a pause after each epoch, and after the third one while a file is there."""

    max_episode_length = 10

    def __init__(self, seed: int, pace: float, held_by: str) -> None:
        self._rng = np.random.default_rng(seed)
        self._sum = 0.0
        self._pace = pace
        self._held_by = held_by

    def train(self, loop: LocalRunner, /) -> float:
        """Walk."""
        for epoch in loop.step_epochs():
            self._sum += float(self._rng.standard_normal()) + float(np.random.random())
            loop.log({"Sum": self._sum})
            time.sleep(self._pace)
            while self._held_by and epoch >= 2 and Path(self._held_by).exists():
                time.sleep(0.05)
        return self._sum


@wrap_experiment(archive_launch_repo=False)
def walk(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: int = 10,
    pace: float = 0.0,
    held_by: str = "",
    deaf: bool = False,
    fail: bool = False,
) -> object:
    """Walk for `n_epochs`; a deaf run does not hear requests to stop."""
    with Path(ctxt.snapshot_dir, "calls").open("a") as file:
        file.write(f"{os.environ.get('SLURM_JOB_ID')}\n")
    if fail:
        raise ValueError("this point fails")
    runner = LocalRunner(
        ctxt,
        logger=ctxt.logger("csv"),
        progress=False,
        stop_requested=(lambda: False) if deaf else None,
    )
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs)
    set_seed(seed)
    runner.setup(Walk(seed, pace, held_by), gymnasium.make("CartPole-v1"))
    return runner.train(n_epochs=n_epochs, batch_size=1)


def sweep(launcher: str, folder: str, result: str, points: str, options: str) -> None:
    """Run a sweep on a cluster and leave what it returned in a file."""
    chosen: dict[str, Any] = json.loads(options)
    if launcher == "slurm":
        parameters = {"cpus_per_task": 1, **chosen.pop("parameters", {})}
        slurm: dict[str, Any] = {"cluster": "slurm", "folder": folder + ".slurm/%j", "poll": 0.5, **chosen}
        results = walk.sweep(
            json.loads(points), log_dir=folder, launcher=Slurm(parameters=parameters, **slurm)
        )
    else:
        results = walk.sweep(json.loads(points), log_dir=folder, launcher=Ray(**chosen))
    Path(result).write_text(json.dumps([[r.state, r.tries, str(r.path)] for r in results]))


if __name__ == "__main__":
    if sys.argv[1] == "sweep":
        sweep(*sys.argv[2:])
    else:
        raise SystemExit(walk.main())
