# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""DQN on CartPole with tianshou 2.0: our logger, our save functions, our restoring.

Usage: ``python train_tianshou_2.py FOLDER EPOCHS``; run it again in the same folder to continue.
"""

import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm import DQN
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv
from tianshou.highlevel.world import World
from tianshou.trainer import OffPolicyTrainerParams
from tianshou.utils.net.common import Net

from rlx_logging import TensorboardLogger
from rlx_persistence import (
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

    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=(4,), action_shape=2, hidden_sizes=[64, 64]),
        action_space=gym.spaces.Discrete(2),
        eps_training=0.1,
    )
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=0.9,
        n_step_return_horizon=3,
        target_update_freq=320,
    )
    buffer = VectorReplayBuffer(20_000, 4)
    collector = Collector(algorithm, training, buffer, exploration_noise=True)

    logger = TensorboardLogger(folder, training_interval=1, update_interval=100, save_interval=1)
    world = World(
        envs=None, algorithm=algorithm, logger=logger, persist_directory=folder, restore_directory=folder
    )
    # The algorithm's state dict holds its optimiser's too.
    further = ReplayBufferPersistence(buffer)
    best = PolicyPersistence()
    checkpoints = PolicyPersistence(further, mode=PolicyPersistence.Mode.POLICY_STATE_DICT)

    epoch, env_step, gradient_step = logger.restore_data()
    if epoch:
        name = f"policy_state_dict_epoch_{epoch}.pt"
        checkpoints.restore(algorithm, world, "cpu", filename=name)
        stored = torch.load(Path(folder) / name, weights_only=True)
        restored = all(
            torch.equal(value, stored[f"policy.{key}"]) for key, value in policy.state_dict().items()
        )
        print("restored", epoch, env_step, gradient_step, len(buffer), restored, flush=True)

    def explore(epoch: int, env_step: int) -> None:
        print("training", epoch, env_step, flush=True)
        policy.set_eps_training(max(0.1, 1 - env_step / 4000))

    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            test_collector=Collector(algorithm, test),
            max_epochs=int(epochs),
            epoch_num_steps=1000,
            collection_step_num_env_steps=8,
            update_step_num_gradient_steps_per_sample=0.125,
            test_step_num_episodes=8,
            batch_size=64,
            training_fn=explore,
            save_best_fn=best.get_save_best_fn(world),
            save_checkpoint_fn=checkpoints.get_save_checkpoint_fn(world),
            resume_from_log=True,
            logger=logger,
            show_progress=False,
            verbose=False,
        )
    )
    logger.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
