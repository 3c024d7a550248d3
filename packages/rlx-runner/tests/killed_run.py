"""A run in a process of its own, for tests that kill it."""

import os
import random
import signal
import sys
from typing import Any

import numpy as np

from rlx_protocols.testing import CountingEnv, CountingSampler, SteadyPolicy
from rlx_runner import LocalRunner, set_seed
from rlx_snapshot import SnapshotConfig


class Wandering:
    """An algorithm that draws from Python's and NumPy's global generators and from one of its own."""

    max_episode_length = 5

    def __init__(self) -> None:
        self.policy = SteadyPolicy()
        self.rng = np.random.default_rng(5)
        self.path: list[float] = []

    def train(self, loop: Any) -> None:
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            drawn = random.random() + float(np.random.random()) + float(self.rng.random())
            self.path.append(drawn + float(batch.rewards.sum()))
            loop.step_itr += 1


class KillAfter:
    """A logger that kills its process when the row of an epoch arrives; that epoch's snapshot is never made."""

    def __init__(self, epoch: int | None) -> None:
        self.epoch = epoch

    def write(self, step_type: str, step: int, data: dict[str, Any]) -> None:
        if step == self.epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    def finalize(self) -> None:
        pass


def main(folder: str, kill_after: int | None) -> None:
    """Train eight epochs, or continue; print everything that an exact resume must get right."""
    runner = LocalRunner(SnapshotConfig(folder, "last", 1), logger=KillAfter(kill_after), progress=False)
    if runner.try_restore(folder):
        runner.resume(n_epochs=8)
    else:
        set_seed(11)
        runner.setup(Wandering(), CountingEnv(), sampler_cls=CountingSampler, n_workers=1)
        runner.train(8, batch_size=10)
    print(
        runner.algo.path,
        random.random(),
        np.random.random(),
        runner.algo.rng.random(),
        runner.total_env_steps,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[3]) if len(sys.argv) > 2 else None)
