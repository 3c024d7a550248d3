# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""Algorithms of tianshou 1 on CartPole, resumable by one function.

Usage: ``python resumable_tianshou_1.py KIND FOLDER EPOCHS``; start it again in the same folder to continue. KIND is
"off-policy" or "on-policy".
"""

import random
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.policy import DQNPolicy, PPOPolicy
from tianshou.trainer import OffpolicyTrainer, OnpolicyTrainer
from tianshou.utils import TensorboardLogger
from tianshou.utils.net.common import ActorCritic, Net
from tianshou.utils.net.discrete import Actor, Critic
from torch.utils.tensorboard import SummaryWriter

from rlx_logging import make_logger
from rlx_persistence import FolderWorld, PolicyPersistence
from rlx_runner.tianshou import run_resumable

COMMON = {
    "step_per_epoch": 80,
    "episode_per_test": 2,
    "batch_size": 16,
    "show_progress": False,
    "verbose": False,
}


def environments(cls: type, seed: int, n_envs: int = 2) -> object:
    """Return CartPoles."""
    envs = cls([lambda: gym.make("CartPole-v1") for _ in range(n_envs)])
    envs.seed(seed)
    return envs


def off_policy(folder: Path, epochs: int, n_envs: int = 2) -> object:
    """Return a trainer of DQN with tianshou's own logger."""
    net = Net(state_shape=(4,), action_shape=2, hidden_sizes=[16])
    policy = DQNPolicy(
        model=net,
        optim=torch.optim.Adam(net.parameters(), lr=1e-3),
        action_space=gym.spaces.Discrete(2),
        discount_factor=0.9,
        estimation_step=3,
        target_update_freq=10,
    )
    envs = environments(DummyVectorEnv, 1, n_envs)
    save_best = PolicyPersistence(mode=PolicyPersistence.Mode.POLICY_STATE_DICT).get_save_best_fn(
        FolderWorld(str(folder / "best"))
    )
    return OffpolicyTrainer(
        policy=policy,
        train_collector=Collector(policy, envs, VectorReplayBuffer(300, n_envs), exploration_noise=True),
        test_collector=Collector(policy, environments(DummyVectorEnv, 2)),
        max_epoch=epochs,
        step_per_collect=8,
        update_per_step=0.25,
        train_fn=lambda epoch, env_step: policy.set_eps(max(0.1, 1 - env_step / 400)),
        test_fn=lambda epoch, env_step: policy.set_eps(0.0),
        save_best_fn=save_best,
        logger=TensorboardLogger(SummaryWriter(str(folder / "logs")), train_interval=1, update_interval=1),
        **COMMON,
    )


def on_policy(folder: Path, epochs: int) -> object:
    """Return a trainer of PPO with environments in workers and a logger of ours."""
    net = Net(state_shape=(4,), hidden_sizes=[16])
    actor, critic = Actor(net, 2), Critic(net)
    policy = PPOPolicy(
        actor=actor,
        critic=critic,
        optim=torch.optim.Adam(ActorCritic(actor, critic).parameters(), lr=1e-3),
        dist_fn=torch.distributions.Categorical,
        action_space=gym.spaces.Discrete(2),
        action_scaling=False,
    )
    envs = environments(SubprocVectorEnv, 1)
    return OnpolicyTrainer(
        policy=policy,
        train_collector=Collector(policy, envs, VectorReplayBuffer(300, 2)),
        test_collector=Collector(policy, environments(DummyVectorEnv, 2)),
        max_epoch=epochs,
        step_per_collect=40,
        repeat_per_collect=2,
        logger=make_logger("csv", log_dir=folder / "logs", train_interval=1, update_interval=1),
        **COMMON,
    )


def main(kind: str, where: str, epochs: str) -> None:
    """Train to `epochs`, from where the folder's snapshot is."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    folder = Path(where)
    trainer = {"off-policy": off_policy, "on-policy": on_policy}[kind](folder, int(epochs))
    run_resumable(trainer, folder, progress=False)
    torch.save(trainer.policy.state_dict(), folder / "final.pt")
    trainer.logger.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
