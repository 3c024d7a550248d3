"""SAC on Pendulum-v1 as one script with a loop of its own: no framework, nothing to inherit from.

The lines that make it resumable end with ``# resumable``; without them it is an ordinary script. Kill it whenever you
like, and start the same command again::

    python examples/own_loop_sac.py --log-dir data/own-sac
"""

import argparse
import copy
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from rlx_logging import make_logger
from rlx_runner import Checkpoint, set_seed  # resumable


def net(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Return a net with two hidden layers."""
    hidden = [nn.Linear(n_inputs, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(64, n_outputs))


class Actor(nn.Module):
    """Draws actions between -2 and 2.

    Args:
        n_inputs: Numbers in an observation.
    """

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        self.net = net(n_inputs, 2)

    def sample(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions and their log probabilities, both with gradients."""
        mean, log_std = self.net(observations).chunk(2, dim=-1)
        normal = Normal(mean, log_std.clamp(-5, 2).exp())
        drawn = normal.rsample()
        squashed = drawn.tanh()
        correction = torch.log(2 * (1 - squashed.square()) + 1e-6)
        return 2 * squashed, (normal.log_prob(drawn) - correction).sum(-1)


class ReplayBuffer:
    """The newest transitions, in arrays that are made once: a snapshot then costs only what was added.

    Args:
        capacity: Transitions to keep.
        n_inputs: Numbers in an observation.
    """

    def __init__(self, capacity: int, n_inputs: int) -> None:
        self.capacity = capacity
        self.added = 0
        self.rows: NDArray[np.float32] = np.zeros((capacity, 2 * n_inputs + 3), np.float32)

    def add(self, *parts: Any) -> None:
        """Keep a transition, over the oldest one where there is no more room."""
        self.rows[self.added % self.capacity] = np.concatenate([np.atleast_1d(part) for part in parts])
        self.added += 1

    def sample(self, size: int) -> Tensor:
        """Return rows drawn evenly."""
        return torch.from_numpy(self.rows[np.random.randint(min(self.added, self.capacity), size=size)])


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log-dir", default="data/own-sac")
    parser.add_argument("--logger", default="csv")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-steps", type=int, default=20_000)
    parser.add_argument("--warm-up-steps", type=int, default=1000)
    parser.add_argument("--capacity", type=int, default=100_000)
    parser.add_argument("--minibatch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--target-rate", type=float, default=0.005)
    parser.add_argument("--save-every", type=int, default=1000)  # resumable
    parser.add_argument("--check", type=int, default=0)  # resumable
    return parser.parse_args()


if __name__ == "__main__":
    args = arguments()
    torch.set_num_threads(1)
    set_seed(args.seed)
    logger = make_logger(args.logger, log_dir=args.log_dir)

    env = gymnasium.make("Pendulum-v1")
    env.action_space.seed(args.seed)
    actor, critics = Actor(3), nn.ModuleList(net(4, 1) for _ in range(2))
    targets = copy.deepcopy(critics).requires_grad_(False)
    log_temperature = torch.zeros((), requires_grad=True)
    actor_optimizer = torch.optim.Adam(actor.parameters(), lr=args.learning_rate)
    critic_optimizer = torch.optim.Adam(critics.parameters(), lr=args.learning_rate)
    temperature_optimizer = torch.optim.Adam([log_temperature], lr=args.learning_rate)
    replay = ReplayBuffer(args.capacity, n_inputs=3)

    episode_return: Any = 0.0
    observation: Any = env.reset(seed=args.seed)[0]

    learner = [actor, critics, targets, log_temperature, replay]  # resumable
    optims = [actor_optimizer, critic_optimizer, temperature_optimizer]  # resumable
    run = Checkpoint(args.log_dir, learner=learner, optims=optims, env=env, logger=logger)  # resumable
    observation, episode_return = run.carry(lambda: (observation, episode_return))  # resumable
    for step in run.steps(args.n_steps, every=args.save_every, check=args.check):  # resumable
        if step < args.warm_up_steps:
            action = env.action_space.sample()
        else:
            with torch.no_grad():
                action = actor.sample(torch.as_tensor(observation))[0].numpy()
        seen, reward, terminated, truncated, _ = env.step(action)
        replay.add(observation, action, reward, seen, terminated)
        observation = seen
        episode_return += float(reward)
        if terminated or truncated:
            logger.write("train/step", step, {"EpisodeReturn": episode_return})
            observation, episode_return = env.reset()[0], 0.0
        if step < args.warm_up_steps:
            continue

        batch = replay.sample(args.minibatch_size)
        was, acted, rewards, then, ended = batch.split([3, 1, 1, 3, 1], dim=1)
        temperature = log_temperature.detach().exp()
        with torch.no_grad():
            next_actions, log_probs = actor.sample(then)
            lower = torch.min(*(target(torch.cat([then, next_actions], 1)) for target in targets))
            future = lower.squeeze(1) - temperature * log_probs
            wanted = rewards.squeeze(1) + args.discount * (1 - ended.squeeze(1)) * future
        estimates = [critic(torch.cat([was, acted], 1)).squeeze(1) for critic in critics]
        critic_loss = sum(((estimate - wanted).square().mean() for estimate in estimates), torch.zeros(()))
        critic_optimizer.zero_grad()
        critic_loss.backward()
        critic_optimizer.step()

        actions, log_probs = actor.sample(was)
        lower = torch.min(*(critic(torch.cat([was, actions], 1)) for critic in critics)).squeeze(1)
        actor_loss = (temperature * log_probs - lower).mean()
        actor_optimizer.zero_grad()
        actor_loss.backward()
        actor_optimizer.step()

        temperature_loss = -(log_temperature.exp() * (log_probs.detach() - 1).mean())
        temperature_optimizer.zero_grad()
        temperature_loss.backward()
        temperature_optimizer.step()

        with torch.no_grad():
            for target, critic in zip(targets.parameters(), critics.parameters(), strict=True):
                target.lerp_(critic, args.target_rate)
        if step % 20 == 0:
            row = {"CriticLoss": critic_loss.item(), "Temperature": temperature.item()}
            logger.write("train/update", step, row)

    env.close()
    logger.finalize()
