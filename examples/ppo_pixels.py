"""PPO on the screen of an Atari game: the algorithm of `ppo_cartpole.py` with nets that see.

Start a run, kill it whenever you like, and continue where it was::

    python examples/ppo_pixels.py --log-dir data/pong
    python examples/ppo_pixels.py --log-dir data/pong --resume
"""

from typing import Annotated, Any, Literal

import ale_py
import gymnasium
import numpy as np
import torch
from annotated_types import Ge, Gt
from gymnasium.spaces import Box, flatdim
from gymnasium.wrappers import FrameStackObservation, TransformObservation
from torch import Tensor, nn

from ppo_cartpole import PPO, Array, CategoricalPolicy
from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import LocalSampler, VecWorker

HEIGHT, WIDTH, FRAMES = 42, 40, 3


def make_env(env_id: str, *, max_episode_length: int) -> gymnasium.Env[Any, Any]:
    """Return a game that shows its last three screens, in grey and a quarter of their size."""
    gymnasium.register_envs(ale_py)
    game = gymnasium.make(env_id, obs_type="grayscale", max_episode_steps=max_episode_length)
    space = Box(0, 255, (HEIGHT, WIDTH), np.uint8)
    return FrameStackObservation(TransformObservation(game, shrink, space), FRAMES)


def shrink(screen: Array) -> Array:
    """Return the playing field of a screen, every fourth pixel of every fourth row: (42, 40)."""
    field: Array = screen[34:202:4, ::4]
    return field


class ScreenNet(nn.Module):
    """A small convolutional net.

    Args:
        n_outputs: Numbers that it gives for each observation.
        last_gain: Scale of the last layer's first weights.
    """

    def __init__(self, n_outputs: int, *, last_gain: float) -> None:
        super().__init__()
        last = nn.Linear(128, n_outputs)
        nn.init.orthogonal_(last.weight, last_gain)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(
            nn.Conv2d(FRAMES, 16, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 3 * 3, 128),
            nn.ReLU(),
            last,
        )

    def forward(self, screens: Tensor) -> Tensor:
        """Return (B, outputs) for the stacked screens, (B, frames, height, width), from 0 to 255."""
        values: Tensor = self.layers(screens / 255)
        return values


@wrap_experiment
def ppo_pixels(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 200,
    batch_size: Annotated[int, Ge(1)] = 4000,
    env_id: str = "ALE/Pong-v5",
    lr: Annotated[float, Gt(0)] = 5e-4,
    max_episode_length: Annotated[int, Ge(1)] = 2000,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a policy on the screen of a game with PPO.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps of an epoch, at least: episodes are sampled whole.
        env_id: Game of the Arcade Learning Environment.
        lr: Step size of Adam.
        max_episode_length: Steps, of four frames each, after which an episode is cut off.
        logger: Where numbers go, beside the journal that is always written.
    """
    torch.set_num_threads(1)  # another number of threads gives other last bits
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = make_env(env_id, max_episode_length=max_episode_length)
    policy = CategoricalPolicy(ScreenNet(flatdim(env.action_space), last_gain=0.01))
    algo = PPO(
        policy,
        ScreenNet(1, last_gain=1.0),
        learning_rate=lr,
        passes=4,
        minibatch_size=256,
        entropy_weight=0.01,
        max_episode_length=max_episode_length,
    )
    runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=VecWorker)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    ppo_pixels.main()
