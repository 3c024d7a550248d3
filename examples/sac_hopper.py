"""SAC on Hopper-v5: one file from the replay buffer to the command line.

Start a run, kill it whenever you like, and continue where it was::

    python examples/sac_hopper.py --log-dir data/sac
    python examples/sac_hopper.py --log-dir data/sac --resume
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import gymnasium
import numpy as np
import torch
from annotated_types import Ge, Gt
from gymnasium.spaces import flatdim
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Normal

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, FragmentWorker, LocalSampler, StepType, sample_gaussian

Array = NDArray[Any]


def network(n_inputs: int, n_outputs: int) -> nn.Sequential:
    """Return a net with two hidden layers of 256."""
    return nn.Sequential(
        nn.Linear(n_inputs, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, n_outputs)
    )


class SquashedGaussianPolicy(nn.Module):
    """Draws actions between -1 and 1: the hyperbolic tangent of a normal variable.

    Args:
        n_inputs: Numbers in an observation.
        n_actions: Numbers in an action.
    """

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.net = network(n_inputs, 2 * n_actions)

    def distribution(self, observations: Tensor) -> Normal:
        """Return the distribution before the tangent, for B observations."""
        mean, log_std = self.net(observations).chunk(2, dim=-1)
        return Normal(mean, log_std.clamp(-5.0, 2.0).exp())

    def sample(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions, (B, actions), and their log probabilities, (B,), with gradients.

        Source: Haarnoja et al. (2018), "Soft actor-critic", appendix C, in a form that does not overflow.
        """
        distribution = self.distribution(observations)
        before = distribution.rsample()
        correction = 2.0 * (math.log(2.0) - before - nn.functional.softplus(-2.0 * before))
        return before.tanh(), (distribution.log_prob(before) - correction).sum(dim=-1)

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the actions for B observations, each with noise from its own generator."""
        with torch.no_grad():
            distribution = self.distribution(torch.as_tensor(observations, dtype=torch.float32))
        actions: Array = sample_gaussian(distribution.mean.numpy(), distribution.stddev.numpy(), rngs)
        return np.tanh(actions), {}

    def get_action(self, observation: Array, /, *, rng: np.random.Generator) -> tuple[Any, dict[str, Array]]:
        """Return the action for one observation."""
        actions, infos = self.get_actions(observation[np.newaxis], rngs=[rng])
        return actions[0], infos

    def get_param_values(self) -> dict[str, Array]:
        """Return the parameters by name."""
        return {name: value.numpy() for name, value in self.state_dict().items()}

    def set_param_values(self, values: Mapping[str, Array], /) -> None:
        """Take over the parameters."""
        self.load_state_dict({name: torch.as_tensor(value) for name, value in values.items()})


class TwinCritics(nn.Module):
    """Two estimates of the value of an action, so that the lower one can be believed.

    Args:
        n_inputs: Numbers in an observation.
        n_actions: Numbers in an action.
    """

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.nets = nn.ModuleList(network(n_inputs + n_actions, 1) for _ in range(2))

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Return both values, (2, B)."""
        inputs = torch.cat([observations, actions], dim=-1)
        return torch.stack([net(inputs).squeeze(-1) for net in self.nets])


class Transitions(NamedTuple):
    """B steps, one a row."""

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    next_observations: Tensor
    terminal: Tensor


class ReplayBuffer:
    """The newest transitions, in arrays that are made once and written round and round.

    Nothing ever moves: an epoch changes only the rows that it adds, and so an incremental
    snapshot of the buffer costs what was added, not what it holds.

    Args:
        capacity: Transitions to keep.
        n_inputs: Numbers in an observation.
        n_actions: Numbers in an action.
    """

    def __init__(self, capacity: int, n_inputs: int, n_actions: int) -> None:
        self._rows = Transitions(
            observations=torch.zeros(capacity, n_inputs),
            actions=torch.zeros(capacity, n_actions),
            rewards=torch.zeros(capacity),
            next_observations=torch.zeros(capacity, n_inputs),
            terminal=torch.zeros(capacity),
        )
        self._capacity = capacity
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, self._capacity)

    def add(self, batch: EpisodeBatch) -> None:
        """Keep the steps of `batch`, over the oldest where there is no more room."""
        rows = (self._added + np.arange(batch.n_steps)) % self._capacity
        added = (
            batch.observations,
            batch.actions,
            batch.rewards,
            batch.next_observations,
            batch.step_types == StepType.TERMINAL,
        )
        for kept, new in zip(self._rows, added, strict=True):
            kept.numpy()[rows] = new
        self._added += batch.n_steps

    def sample(self, size: int, rng: np.random.Generator) -> Transitions:
        """Return `size` transitions, drawn evenly with `rng`."""
        rows = torch.from_numpy(rng.integers(len(self), size=size))
        return Transitions(*(kept[rows] for kept in self._rows))


class SAC:
    """Soft actor-critic with a temperature that it learns.

    Source: Haarnoja et al. (2018), "Soft actor-critic algorithms and applications", eq. 5, 7 and 18.

    Args:
        policy: Policy to train.
        critics: Estimates of the values.
        replay: Where transitions are kept.
        n_actions: Numbers in an action.
        seed: Seed of the draws from the replay buffer.
        discount: Weight of the next step's reward against this one's.
        learning_rate: Step size of every optimiser.
        minibatch_size: Transitions of one gradient step.
        target_rate: Share of the critics that goes into the target critics at each gradient step.
        steps_per_update: Environment steps for each gradient step.
        warm_up_steps: Environment steps before the first gradient step.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(
        self,
        policy: SquashedGaussianPolicy,
        critics: TwinCritics,
        replay: ReplayBuffer,
        *,
        n_actions: int,
        seed: int,
        discount: float = 0.99,
        learning_rate: float = 1e-3,
        minibatch_size: int = 128,
        target_rate: float = 0.005,
        steps_per_update: int = 1,
        warm_up_steps: int = 1000,
        max_episode_length: int = 1000,
    ) -> None:
        self.policy = policy
        self.max_episode_length = max_episode_length
        self._critics = critics
        self._targets = copy.deepcopy(critics).requires_grad_(False)
        self._log_temperature = torch.zeros((), requires_grad=True)
        self._policy_optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
        self._critic_optimizer = torch.optim.Adam(critics.parameters(), lr=learning_rate)
        self._temperature_optimizer = torch.optim.Adam([self._log_temperature], lr=learning_rate)
        self._replay = replay
        self._rng = np.random.default_rng(seed)
        self._wanted_entropy = -float(n_actions)
        self._discount = discount
        self._minibatch_size = minibatch_size
        self._target_rate = target_rate
        self._steps_per_update = steps_per_update
        self._warm_up_steps = warm_up_steps

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> None:
        """Train until the loop ends."""
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            self._replay.add(batch)
            loop.log(
                {**self._learn(batch.n_steps // self._steps_per_update), "ReplaySize": len(self._replay)}
            )
            loop.step_itr += 1

    def _learn(self, n_updates: int) -> dict[str, float]:
        """Make the gradient steps of an epoch; return the means of what each said."""
        ready = len(self._replay) >= self._warm_up_steps
        said = [self._update() for _ in range(n_updates)] if ready else [(0.0, 0.0, 0.0)]
        critic_loss, policy_loss, entropy = map(float, np.mean(said, axis=0))
        return {
            "CriticLoss": critic_loss,
            "PolicyLoss": policy_loss,
            "Entropy": entropy,
            "Temperature": self._log_temperature.exp().item(),
        }

    def _update(self) -> tuple[float, float, float]:
        batch = self._replay.sample(self._minibatch_size, self._rng)
        temperature = self._log_temperature.detach().exp()
        values: Tensor = self._critics(batch.observations, batch.actions)
        critic_loss = (values - self._wanted_values(batch, temperature)).square().mean(dim=1).sum()
        step(self._critic_optimizer, critic_loss)
        actions, log_probs = self.policy.sample(batch.observations)
        lower: Tensor = self._critics(batch.observations, actions).amin(dim=0)
        policy_loss = (temperature * log_probs - lower).mean()
        step(self._policy_optimizer, policy_loss)
        entropy = -log_probs.detach().mean()
        step(self._temperature_optimizer, self._log_temperature.exp() * (entropy - self._wanted_entropy))
        self._follow()
        return critic_loss.item(), policy_loss.item(), entropy.item()

    @torch.no_grad()
    def _wanted_values(self, batch: Transitions, temperature: Tensor) -> Tensor:
        actions, log_probs = self.policy.sample(batch.next_observations)
        lower: Tensor = self._targets(batch.next_observations, actions).amin(dim=0)
        return batch.rewards + self._discount * (1 - batch.terminal) * (lower - temperature * log_probs)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the target critics follow the critics slowly."""
        for target, critic in zip(self._targets.parameters(), self._critics.parameters(), strict=True):
            target.lerp_(critic, self._target_rate)


def step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    """Make one gradient step."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@wrap_experiment
def sac_hopper(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 100,
    batch_size: Annotated[int, Ge(1)] = 1000,
    env_id: str = "Hopper-v5",
    lr: Annotated[float, Gt(0)] = 1e-3,
    replay_capacity: Annotated[int, Ge(1)] = 1_000_000,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a policy with SAC.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps of an epoch; episodes continue in the next one.
        env_id: Environment with vectors of numbers as observations and as actions, the latter from -1 to 1.
        lr: Step size of every optimiser.
        replay_capacity: Transitions that the replay buffer keeps.
        logger: Where numbers go, beside the journal that is always written.
    """
    torch.set_num_threads(1)  # another number of threads gives other last bits
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = gymnasium.make(env_id)
    sizes = flatdim(env.observation_space), flatdim(env.action_space)
    replay = ReplayBuffer(replay_capacity, *sizes)
    policy, critics = SquashedGaussianPolicy(*sizes), TwinCritics(*sizes)
    algo = SAC(policy, critics, replay, n_actions=sizes[1], seed=seed, learning_rate=lr)
    lanes = {"n_envs": 4, "timesteps_per_call": 10}  # four environments that live on in the next epoch
    runner.setup(
        algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=FragmentWorker, worker_args=lanes
    )
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    sac_hopper.main()
