# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""DQN on CartPole with tianshou 1.2: our logger, our save functions, our restoring.

Usage: ``python train_tianshou_1.py FOLDER EPOCHS``; run it again in the same folder to continue.
"""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.highlevel.world import World
from tianshou.policy import DQNPolicy
from tianshou.trainer import OffpolicyTrainer
from tianshou.utils.net.common import Net

from rlx_logging import TensorboardLogger
from rlx_persistence import (
    OptimizerPersistence,
    PersistenceGroup,
    PolicyPersistence,
    ReplayBufferPersistence,
)


def main(folder: str, epochs: str) -> None:
    """Train to `epochs`, from where the folder's last checkpoint is."""
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    training = DummyVectorEnv([lambda: gym.make("CartPole-v1") for _ in range(4)])
    test = DummyVectorEnv([lambda: gym.make("CartPole-v1") for _ in range(4)])
    training.seed(1)
    test.seed(2)

    net = Net(state_shape=(4,), action_shape=2, hidden_sizes=[64, 64])
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    policy = DQNPolicy(
        model=net,
        optim=optimizer,
        action_space=gym.spaces.Discrete(2),
        discount_factor=0.9,
        estimation_step=3,
        target_update_freq=320,
    )
    buffer = VectorReplayBuffer(20_000, 4)
    collector = Collector(policy, training, buffer, exploration_noise=True)

    logger = TensorboardLogger(folder, train_interval=1, update_interval=100)
    world = World(envs=None, policy=policy, logger=logger, persist_directory=folder, restore_directory=folder)
    further = PersistenceGroup(OptimizerPersistence(optimizer), ReplayBufferPersistence(buffer))
    best = PolicyPersistence()
    checkpoints = PolicyPersistence(further, mode=PolicyPersistence.Mode.POLICY_STATE_DICT)

    epoch, env_step, gradient_step = logger.restore_data()
    if epoch:
        name = f"policy_state_dict_epoch_{epoch}.pt"
        checkpoints.restore(policy, world, "cpu", filename=name)
        stored = torch.load(Path(folder) / name, weights_only=True)
        restored = all(torch.equal(value, stored[key]) for key, value in policy.state_dict().items())
        print("restored", epoch, env_step, gradient_step, len(buffer), restored, flush=True)

    def explore(epoch: int, env_step: int) -> None:
        print("training", epoch, env_step, flush=True)
        policy.set_eps(max(0.1, 1 - env_step / 4000))

    OffpolicyTrainer(
        policy=policy,
        train_collector=collector,
        test_collector=Collector(policy, test),
        max_epoch=int(epochs),
        step_per_epoch=1000,
        step_per_collect=8,
        update_per_step=0.125,
        episode_per_test=8,
        batch_size=64,
        train_fn=explore,
        test_fn=lambda epoch, env_step: policy.set_eps(0.0),
        save_best_fn=best.get_save_best_fn(world),
        save_checkpoint_fn=checkpoints.get_save_checkpoint_fn(world),
        resume_from_log=True,
        logger=logger,
        show_progress=False,
        verbose=False,
    ).run()
    logger.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
