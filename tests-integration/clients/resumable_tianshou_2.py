# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""Algorithms of tianshou 2 on CartPole, resumable by one function.

Usage: ``python resumable_tianshou_2.py KIND FOLDER EPOCHS``; start it again in the same folder to continue. KIND is
"off-policy", "on-policy" or "high-level".
"""

import random
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
from tianshou.utils import TensorboardLogger
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic
from torch.utils.tensorboard import SummaryWriter

from rlx_logging import make_logger
from rlx_persistence import FolderWorld, PolicyPersistence
from rlx_runner.tianshou import run_resumable

COMMON = {
    "epoch_num_steps": 80,
    "test_step_num_episodes": 2,
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
    policy = DiscreteQLearningPolicy(
        model=Net(state_shape=(4,), action_shape=2, hidden_sizes=[16]),
        action_space=gym.spaces.Discrete(2),
        eps_training=0.1,
    )
    algorithm = DQN(
        policy=policy,
        optim=AdamOptimizerFactory(lr=1e-3),
        gamma=0.9,
        n_step_return_horizon=3,
        target_update_freq=10,
    )
    envs = environments(DummyVectorEnv, 1, n_envs)
    buffer = VectorReplayBuffer(300, n_envs)
    save_best = PolicyPersistence(mode=PolicyPersistence.Mode.POLICY_STATE_DICT).get_save_best_fn(
        FolderWorld(str(folder / "best"))
    )
    return algorithm.create_trainer(
        OffPolicyTrainerParams(
            training_collector=Collector(algorithm, envs, buffer, exploration_noise=True),
            test_collector=Collector(algorithm, environments(DummyVectorEnv, 2)),
            max_epochs=epochs,
            collection_step_num_env_steps=8,
            update_step_num_gradient_steps_per_sample=0.25,
            training_fn=lambda epoch, env_step: policy.set_eps_training(max(0.1, 1 - env_step / 400)),
            save_best_fn=save_best,
            logger=TensorboardLogger(
                SummaryWriter(str(folder / "logs")), training_interval=1, update_interval=1
            ),
            **COMMON,
        )
    )


def on_policy(folder: Path, epochs: int) -> object:
    """Return a trainer of PPO with environments in workers and a logger of ours."""
    net = Net(state_shape=(4,), hidden_sizes=[16])
    actor = DiscreteActor(preprocess_net=net, action_shape=2)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=torch.distributions.Categorical,
        action_space=gym.spaces.Discrete(2),
        action_scaling=False,
    )
    critic = DiscreteCritic(preprocess_net=net)
    algorithm = PPO(policy=policy, critic=critic, optim=AdamOptimizerFactory(lr=1e-3))
    envs = environments(SubprocVectorEnv, 1)
    return algorithm.create_trainer(
        OnPolicyTrainerParams(
            training_collector=Collector(algorithm, envs, VectorReplayBuffer(300, 2)),
            test_collector=Collector(algorithm, environments(DummyVectorEnv, 2)),
            max_epochs=epochs,
            collection_step_num_env_steps=40,
            update_step_num_repetitions=2,
            logger=make_logger("csv", log_dir=folder / "logs", training_interval=1, update_interval=1),
            **COMMON,
        )
    )


def high_level(folder: Path, epochs: int) -> object:
    """Return the trainer of a high-level experiment."""
    from tianshou.highlevel.config import OffPolicyTrainingConfig
    from tianshou.highlevel.env import EnvFactoryRegistered, VectorEnvType
    from tianshou.highlevel.experiment import DQNExperimentBuilder, ExperimentConfig
    from tianshou.highlevel.params.algorithm_params import DQNParams

    config = OffPolicyTrainingConfig(
        max_epochs=epochs,
        epoch_num_steps=80,
        batch_size=16,
        num_training_envs=2,
        num_test_envs=2,
        test_step_num_episodes=2,
        buffer_size=300,
        collection_step_num_env_steps=8,
        update_step_num_gradient_steps_per_sample=0.25,
        start_timesteps=20,
    )
    experiment = (
        DQNExperimentBuilder(
            EnvFactoryRegistered(task="CartPole-v1", venv_type=VectorEnvType.DUMMY),
            ExperimentConfig(persistence_enabled=True, persistence_base_dir=str(folder), watch=False, seed=3),
            config,
        )
        .with_dqn_params(DQNParams(gamma=0.9, target_update_freq=10))
        .with_model_factory_default(hidden_sizes=(16,))
        .build()
    )
    world = experiment.create_experiment_world(
        override_experiment_name="logs", raise_error_on_dirname_collision=False
    )
    return world.trainer


def main(kind: str, where: str, epochs: str) -> None:
    """Train to `epochs`, from where the folder's snapshot is."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(1)
    folder = Path(where)
    make = {"off-policy": off_policy, "on-policy": on_policy, "high-level": high_level}[kind]
    trainer = make(folder, int(epochs))
    run_resumable(trainer, folder, progress=False)
    torch.save(trainer.algorithm.state_dict(), folder / "final.pt")
    logger = trainer.params.logger
    if logger is not None:
        logger.finalize()


if __name__ == "__main__":
    main(*sys.argv[1:])
