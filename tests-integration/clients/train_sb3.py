# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""PPO of Stable-Baselines3 on CartPole, snapshotted by rlx-snapshot and logged by rlx-logging.

Usage: ``python train_sb3.py FOLDER ROLLOUTS [forget]``; run it again in the same folder to go on.
``forget`` leaves the random states out of what is restored: the mutant.
"""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from rlx_logging import BaseLogger, make_logger
from rlx_snapshot import Snapshotter

STEPS = 256  # of one rollout


class SnapshotCallback(BaseCallback):
    """Before every rollout: one row in the logs and one snapshot of the whole model."""

    def __init__(self, snapshotter: Snapshotter, logs: Any) -> None:
        super().__init__()
        self.saved = -1
        self.snapshotter = snapshotter
        self.logs = logs

    def _on_rollout_start(self) -> None:
        rollout = self.model.num_timesteps // STEPS
        if rollout == self.saved:  # the snapshot that this process began with
            return
        returns = [episode["r"] for episode in self.model.ep_info_buffer or []]
        if rollout:
            row = {
                "AverageReturn": float(np.mean(returns)) if returns else 0.0,
                "updates": self.model._n_updates,
            }
            self.logs.write("info/epoch", rollout, row)
        # Everything but SB3's own logger: the environment is in it, in the middle of its episode.
        model = {name: value for name, value in vars(self.model).items() if name != "_logger"}
        state = {"model": model, "logs": self.logs.state_dict(), "random": random_states()}
        self.snapshotter.save_itr_params(rollout, state)
        print("rollout", rollout, flush=True)

    def _on_step(self) -> bool:
        return True


def random_states() -> dict[str, Any]:
    """Return the global random states."""
    return {"python": random.getstate(), "numpy": np.random.get_state(), "torch": torch.get_rng_state()}


def set_random_states(states: dict[str, Any]) -> None:
    """Set the global random states."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"])


def main(folder: str, rollouts: str, *options: str) -> None:
    """Train to `rollouts`, from where the folder's snapshot is."""
    torch.set_num_threads(1)
    snapshotter = Snapshotter(folder)
    logs: BaseLogger = make_logger("csv", log_dir=folder)
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=STEPS, batch_size=64, n_epochs=4, seed=3, device="cpu")
    callback = SnapshotCallback(snapshotter, logs)
    if Path(folder, "params.pkl").exists():
        state = snapshotter.load(folder)
        logs.load_state_dict(state["logs"])  # rows after the snapshot will be written again
        vars(model).update(state["model"])
        if "forget" not in options:
            set_random_states(state["random"])
        callback.saved = model.num_timesteps // STEPS
        print("restored", callback.saved, flush=True)
    model.learn(
        int(rollouts) * STEPS - model.num_timesteps,
        callback=callback,
        reset_num_timesteps=False,
    )
    logs.finalize()
    torch.save(model.policy.state_dict(), Path(folder, "final.pt"))


if __name__ == "__main__":
    main(*sys.argv[1:])
