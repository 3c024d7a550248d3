# The types of the client libraries are known only where they are installed.
# mypy: ignore-errors
# pyright: basic, reportMissingImports=false
"""Algorithms of Stable-Baselines3 on small tasks, resumable by one callback.

Usage: ``python resumable_sb3.py ALGORITHM FOLDER TIMESTEPS EVERY [OPTION ...]``; start it again in the same folder to
continue. Options are those of `OPTIONS`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import A2C, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import configure
from stable_baselines3.common.noise import OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecFrameStack, VecNormalize

from rlx_runner.sb3 import ResumableCallback

NETS = {"policy_kwargs": {"net_arch": [16]}, "device": "cpu", "seed": 3}
OFF_POLICY = {"buffer_size": 400, "learning_starts": 40, "batch_size": 16, **NETS}
OPTIONS = ("normalize", "stack", "workers", "sde", "evaluate", "monitor", "log")


class LongestEpisode(BaseCallback):
    """A callback with a counter of its own, and random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0
        self.drawn = 0.0
        self.generator = np.random.default_rng(5)

    def _on_step(self) -> bool:
        lengths = [info["episode"]["l"] for info in self.locals["infos"] if "episode" in info]
        self.longest = max([self.longest, *lengths])
        self.drawn += self.generator.random()
        self.logger.record("longest", self.longest)
        return True


def make_env(name: str, folder: Path, options: set[str], n_envs: int) -> Any:
    """Return the environments, with the wrappers that the options name."""
    env = make_vec_env(
        name,
        n_envs=n_envs,
        seed=7,
        vec_env_cls=SubprocVecEnv if "workers" in options else DummyVecEnv,
        monitor_dir=str(folder / "monitors") if "monitor" in options else None,
    )
    if "normalize" in options:
        env = VecNormalize(env, gamma=0.9)
    return VecFrameStack(env, 2) if "stack" in options else env


def make_model(algorithm: str, folder: Path, options: set[str]) -> Any:
    """Return an untrained model."""
    discrete = "CartPole-v1"
    continuous = "Pendulum-v1"
    sde = {"use_sde": True, "sde_sample_freq": 4} if "sde" in options else {}
    n_envs = 2 if algorithm in ("ppo", "a2c") else 1
    name = discrete if algorithm == "dqn" or (algorithm in ("ppo", "a2c") and not sde) else continuous
    env = make_env(name, folder, options, n_envs)
    if algorithm == "ppo":
        return PPO("MlpPolicy", env, n_steps=32, batch_size=16, n_epochs=2, **sde, **NETS)
    if algorithm == "a2c":
        return A2C("MlpPolicy", env, learning_rate=lambda left: 7e-4 * left, **sde, **NETS)
    if algorithm == "sac":
        return SAC("MlpPolicy", env, **sde, **OFF_POLICY)
    if algorithm == "td3":
        noise = OrnsteinUhlenbeckActionNoise(np.zeros(1), np.full(1, 0.1))
        return TD3("MlpPolicy", env, action_noise=noise, train_freq=4, **OFF_POLICY)
    return DQN("MlpPolicy", env, target_update_interval=50, **OFF_POLICY)


def main(algorithm: str, where: str, timesteps: str, every: str, *given: str) -> None:
    """Train to `timesteps`, from where the folder's snapshot is."""
    torch.set_num_threads(1)
    options, folder = set(given), Path(where)
    model = make_model(algorithm, folder, options)
    if "log" in options:
        model.set_logger(configure(str(folder / "logs"), ["csv", "json", "log", "tensorboard"]))
    callbacks = [ResumableCallback(folder, every=int(every), progress=False), LongestEpisode()]
    if "evaluate" in options:
        env = make_env("CartPole-v1", folder / "evaluation", options - {"monitor", "workers"}, 1)
        best = str(folder / "best")
        callbacks.insert(
            0,
            EvalCallback(
                env, n_eval_episodes=2, eval_freq=70, log_path=best, best_model_save_path=best, verbose=0
            ),
        )
    model.learn(int(timesteps), callback=callbacks, log_interval=2)
    model.logger.close()
    torch.save(model.get_parameters(), folder / "final.pt")
    model.env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
