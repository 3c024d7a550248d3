"""PPO on CartPole-v1, or where you like: one file from the policy to the command line.

Start a run, kill it whenever you like, and continue where it was::

    python examples/ppo_cartpole.py --log-dir data/ppo
    python examples/ppo_cartpole.py --log-dir data/ppo --resume
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
import torch
from annotated_types import Ge, Gt
from gymnasium.spaces import flatdim
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributions import Categorical

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, LocalSampler, StepType, VecWorker, sample_categorical

Array = NDArray[Any]


class CategoricalPolicy(nn.Module):
    """Chooses among discrete actions.

    Args:
        logits: Net from observations, (B, ...), to the logits of the actions, (B, actions).
    """

    def __init__(self, logits: nn.Module) -> None:
        super().__init__()
        self.logits = logits

    def distribution(self, observations: Tensor) -> Categorical:
        """Return the distributions of the actions for B observations."""
        return Categorical(logits=self.logits(observations))

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the actions for B observations, (B,), each with noise from its own generator."""
        with torch.no_grad():
            logits: Array = self.logits(as_float(observations)).numpy()
        return sample_categorical(logits, rngs), {}

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


def network(n_inputs: int, n_outputs: int, *, last_gain: float) -> nn.Sequential:
    """Return a net with two hidden layers of 64, orthogonally initialised."""
    sizes = [n_inputs, 64, 64, n_outputs]
    layers: list[nn.Module] = []
    for (before, after), gain in zip(pairwise(sizes), [2**0.5, 2**0.5, last_gain], strict=True):
        linear = nn.Linear(before, after)
        nn.init.orthogonal_(linear.weight, gain)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def as_float(values: Array) -> Tensor:
    """Return `values` as a float32 tensor."""
    return torch.as_tensor(values, dtype=torch.float32)


class PPO:
    """Proximal policy optimisation with a clipped objective.

    Source: Schulman et al. (2017), "Proximal policy optimization algorithms", eq. 7 and 11.

    Args:
        policy: Policy to train.
        value: Net from observations, (B, ...), to estimated returns, (B, 1).
        discount: Weight of the next step's reward against this one's.
        gae_lambda: Weight of longer returns in the advantages (Schulman et al. 2016, eq. 16).
        clip: Furthest that a ratio of probabilities may count from 1.
        learning_rate: Step size of Adam.
        passes: Passes over each batch.
        minibatch_size: Environment steps of one gradient step.
        entropy_weight: Weight of the entropy, which keeps the policy exploring.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(
        self,
        policy: CategoricalPolicy,
        value: nn.Module,
        *,
        discount: float = 0.99,
        gae_lambda: float = 0.95,
        clip: float = 0.2,
        learning_rate: float = 1e-3,
        passes: int = 10,
        minibatch_size: int = 128,
        entropy_weight: float = 0.0,
        max_episode_length: int = 500,
    ) -> None:
        self.policy = policy
        self.max_episode_length = max_episode_length
        self._value = value
        self._parameters = [*policy.parameters(), *value.parameters()]
        self._optimizer = torch.optim.Adam(self._parameters, lr=learning_rate, eps=1e-5)
        self._discount = discount
        self._gae_lambda = gae_lambda
        self._clip = clip
        self._passes = passes
        self._minibatch_size = minibatch_size
        self._entropy_weight = entropy_weight

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> float:
        """Train until the loop ends; return the mean return of the last batch."""
        mean_return = 0.0
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            loop.log(self._train_once(batch))
            loop.step_itr += 1
            mean_return = float(batch.undiscounted_returns.mean())
        return mean_return

    def _train_once(self, batch: EpisodeBatch) -> dict[str, float]:
        observations, actions = as_float(batch.observations), torch.as_tensor(batch.actions)
        with torch.no_grad():
            old = self.policy.distribution(observations).log_prob(actions)
        advantages, returns = self._advantages(batch)
        losses: list[tuple[float, float]] = []
        for _ in range(self._passes):
            for rows in torch.randperm(batch.n_steps).split(self._minibatch_size):
                distribution = self.policy.distribution(observations[rows])
                ratio = (distribution.log_prob(actions[rows]) - old[rows]).exp()
                policy_loss = self._policy_loss(ratio, advantages[rows])
                entropy = distribution.entropy().mean()
                value_loss = (self._value(observations[rows]).squeeze(-1) - returns[rows]).square().mean()
                self._step(policy_loss - self._entropy_weight * entropy + 0.5 * value_loss)
                losses.append((policy_loss.item(), value_loss.item()))
        policy_loss_mean, value_loss_mean = np.mean(losses, axis=0)
        return {"PolicyLoss": float(policy_loss_mean), "ValueLoss": float(value_loss_mean)}

    def _policy_loss(self, ratio: Tensor, advantages: Tensor) -> Tensor:
        advantages = (advantages - advantages.mean()) / (advantages.std(correction=0) + 1e-8)
        clipped = ratio.clamp(1 - self._clip, 1 + self._clip)
        return -torch.min(ratio * advantages, clipped * advantages).mean()

    def _step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, 0.5)
        self._optimizer.step()

    def _advantages(self, batch: EpisodeBatch) -> tuple[Tensor, Tensor]:
        """Return advantages and the returns that the value should predict, (N,) each."""
        with torch.no_grad():
            values: Array = self._value(as_float(batch.observations)).squeeze(-1).numpy()
            after: Array = self._value(as_float(batch.next_observations)).squeeze(-1).numpy()
        after[batch.step_types == StepType.TERMINAL] = (
            0.0  # but an episode that timed out would have continued
        )
        errors = batch.rewards + self._discount * after - values
        decay = np.full(batch.n_steps, self._discount * self._gae_lambda)
        decay[np.cumsum(batch.lengths) - 1] = 0.0
        advantages = np.zeros(batch.n_steps + 1)
        for step in reversed(range(batch.n_steps)):
            advantages[step] = errors[step] + decay[step] * advantages[step + 1]
        return as_float(advantages[:-1]), as_float(advantages[:-1] + values)


@wrap_experiment
def ppo_cartpole(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 30,
    batch_size: Annotated[int, Ge(1)] = 2000,
    env_id: str = "CartPole-v1",
    lr: Annotated[float, Gt(0)] = 1e-3,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a policy with PPO.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps of an epoch, at least: episodes are sampled whole.
        env_id: Environment with a vector of numbers as observation and discrete actions.
        lr: Step size of Adam.
        logger: Where numbers go, beside the journal that is always written.
    """
    torch.set_num_threads(1)  # the nets are small; and another number of threads gives other last bits
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = gymnasium.make(env_id)
    n_inputs, n_actions = flatdim(env.observation_space), flatdim(env.action_space)
    policy = CategoricalPolicy(network(n_inputs, n_actions, last_gain=0.01))
    algo = PPO(policy, network(n_inputs, 1, last_gain=1.0), learning_rate=lr)
    runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=VecWorker)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    ppo_cartpole.main()
