"""PPO on CartPole-v1 as one script with a loop of its own: no framework, nothing to inherit from.

The lines that make it resumable end with ``# resumable``; without them it is an ordinary script. Kill it whenever you
like, and start the same command again::

    python examples/own_loop_ppo.py --log-dir data/own-ppo
"""

import argparse
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from rlx_logging import make_logger
from rlx_runner import Checkpoint, set_seed  # resumable


def layer(n_inputs: int, n_outputs: int, gain: float) -> nn.Linear:
    """Return a linear layer with orthogonal weights."""
    made = nn.Linear(n_inputs, n_outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made


class Agent(nn.Module):
    """A policy and a value, each with two hidden layers.

    Args:
        n_inputs: Numbers in an observation.
        n_actions: Actions to choose from.
    """

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.critic = self._net(n_inputs, 1, gain=1.0)
        self.actor = self._net(n_inputs, n_actions, gain=0.01)

    def policy(self, observations: Tensor) -> Categorical:
        """Return the distribution of actions for each observation."""
        return Categorical(logits=self.actor(observations))

    def value(self, observations: Tensor) -> Tensor:
        """Return the value of each observation."""
        values: Tensor = self.critic(observations)
        return values.squeeze(-1)

    def _net(self, n_inputs: int, n_outputs: int, gain: float) -> nn.Sequential:
        hidden = [layer(n_inputs, 64, 2**0.5), nn.Tanh(), layer(64, 64, 2**0.5), nn.Tanh()]
        return nn.Sequential(*hidden, layer(64, n_outputs, gain))


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log-dir", default="data/own-ppo")
    parser.add_argument("--logger", default="csv")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-iterations", type=int, default=100)
    parser.add_argument("--n-envs", type=int, default=4)
    parser.add_argument("--n-steps", type=int, default=128)
    parser.add_argument("--n-epochs", type=int, default=4)
    parser.add_argument("--n-minibatches", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=2.5e-4)
    parser.add_argument("--discount", type=float, default=0.99)
    parser.add_argument("--gae-lambda", type=float, default=0.95)
    parser.add_argument("--clip", type=float, default=0.2)
    parser.add_argument("--save-every", type=int, default=1)  # resumable
    return parser.parse_args()


if __name__ == "__main__":
    args = arguments()
    torch.set_num_threads(1)
    set_seed(args.seed)
    logger = make_logger(args.logger, log_dir=args.log_dir)

    envs = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * args.n_envs)
    agent = Agent(n_inputs=4, n_actions=2)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)

    observations = torch.zeros(args.n_steps, args.n_envs, 4)
    actions = torch.zeros(args.n_steps, args.n_envs, dtype=torch.int64)
    log_probs, rewards, dones, values = (torch.zeros(args.n_steps, args.n_envs) for _ in range(4))

    env_steps: int = 0
    episode_returns: Any = np.zeros(args.n_envs)
    observation: Any = torch.as_tensor(envs.reset(seed=args.seed)[0])
    done: Any = torch.zeros(args.n_envs)

    run = Checkpoint(args.log_dir, agent=agent, optimizer=optimizer, envs=envs, logger=logger)  # resumable
    env_steps, episode_returns, observation, done = run.carry(  # resumable
        lambda: (env_steps, episode_returns, observation, done)  # resumable
    )  # resumable
    for iteration in run.steps(args.n_iterations, every=args.save_every):  # resumable
        finished: list[float] = []
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - iteration / args.n_iterations)

        for step in range(args.n_steps):
            observations[step], dones[step] = observation, done
            with torch.no_grad():
                policy = agent.policy(observation)
                actions[step] = policy.sample()
                log_probs[step] = policy.log_prob(actions[step])
                values[step] = agent.value(observation)
            seen, reward, terminated, truncated, _infos = envs.step(actions[step].numpy())
            observation = torch.as_tensor(seen)
            rewards[step] = torch.as_tensor(reward)
            ended = np.logical_or(terminated, truncated)
            done = torch.as_tensor(ended, dtype=torch.float32)
            episode_returns = episode_returns + reward
            finished.extend(episode_returns[ended].tolist())
            episode_returns = np.where(ended, 0.0, episode_returns)
            env_steps += args.n_envs

        with torch.no_grad():
            advantages = torch.zeros_like(rewards)
            advantage, next_value, next_done = torch.zeros(args.n_envs), agent.value(observation), done
            for step in reversed(range(args.n_steps)):
                delta = rewards[step] + args.discount * next_value * (1 - next_done) - values[step]
                advantage = delta + args.discount * args.gae_lambda * (1 - next_done) * advantage
                advantages[step], next_value, next_done = advantage, values[step], dones[step]
            returns = advantages + values

        batch = [each.flatten(0, 1) for each in (observations, actions, log_probs, advantages, returns)]
        policy_loss = value_loss = torch.zeros(())
        for _ in range(args.n_epochs):
            for rows in torch.randperm(len(batch[0])).chunk(args.n_minibatches):
                seen_rows, acted, old_log_probs, gained, wanted = (each[rows] for each in batch)
                policy = agent.policy(seen_rows)
                ratio = (policy.log_prob(acted) - old_log_probs).exp()
                gained = (gained - gained.mean()) / (gained.std() + 1e-8)
                clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                policy_loss = -torch.min(ratio * gained, clipped * gained).mean()
                value_loss = 0.5 * (agent.value(seen_rows) - wanted).square().mean()
                loss = policy_loss + 0.5 * value_loss - 0.01 * policy.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimizer.step()

        row = {"EnvSteps": env_steps, "PolicyLoss": policy_loss.item(), "ValueLoss": value_loss.item()}
        if finished:
            row["AverageReturn"] = float(np.mean(finished))
        logger.write("train/iteration", iteration, row)

    envs.close()
    logger.finalize()
