"""DQN on CartPole-v1: one file from the replay buffer to the command line.

Start a run, kill it whenever you like, and continue where it was::

    python examples/dqn_cartpole.py --log-dir data/dqn
    python examples/dqn_cartpole.py --log-dir data/dqn --resume
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import gymnasium
import numpy as np
import torch
from annotated_types import Ge, Gt
from gymnasium.spaces import flatdim
from numpy.typing import NDArray
from torch import Tensor, nn

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, LocalSampler, StepType, VecWorker

Array = NDArray[Any]


class QPolicy(nn.Module):
    """Takes the action with the highest estimated value, or any with probability `epsilon`.

    Args:
        n_inputs: Numbers in an observation.
        n_actions: Actions to choose from.
    """

    def __init__(self, n_inputs: int, n_actions: int) -> None:
        super().__init__()
        self.values = nn.Sequential(
            nn.Linear(n_inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, n_actions)
        )
        self.epsilon: Tensor
        self.register_buffer("epsilon", torch.ones(()))  # travels to the workers with the weights

    def forward(self, observations: Tensor) -> Tensor:
        """Return the value of every action, (B, actions)."""
        values: Tensor = self.values(observations)
        return values

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the actions for B observations, (B,), each with two numbers drawn from its own generator."""
        with torch.no_grad():
            values: Array = self(torch.as_tensor(observations, dtype=torch.float32)).numpy()
        noise = np.array([rng.random(2) for rng in rngs])
        anything = (noise[:, 1] * values.shape[1]).astype(np.int64)
        return np.where(noise[:, 0] < self.epsilon.item(), anything, values.argmax(axis=1)), {}

    def get_action(self, observation: Array, /, *, rng: np.random.Generator) -> tuple[Any, dict[str, Array]]:
        """Return the action for one observation."""
        actions, infos = self.get_actions(observation[np.newaxis], rngs=[rng])
        return actions[0], infos

    def get_param_values(self) -> dict[str, Array]:
        """Return the parameters and `epsilon` by name."""
        return {name: value.numpy() for name, value in self.state_dict().items()}

    def set_param_values(self, values: Mapping[str, Array], /) -> None:
        """Take over the parameters and `epsilon`."""
        self.load_state_dict({name: torch.as_tensor(value) for name, value in values.items()})


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
    """

    def __init__(self, capacity: int, n_inputs: int) -> None:
        self._rows = Transitions(
            observations=torch.zeros(capacity, n_inputs),
            actions=torch.zeros(capacity, dtype=torch.int64),
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


class DQN:
    """Deep Q-learning with a target network and double estimates.

    Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning";
    van Hasselt et al. (2016), "Deep reinforcement learning with double Q-learning", eq. 4.

    Args:
        policy: Policy to train.
        replay: Where transitions are kept.
        seed: Seed of the draws from the replay buffer.
        discount: Weight of the next step's reward against this one's.
        learning_rate: Step size of Adam.
        minibatch_size: Transitions of one gradient step.
        steps_per_update: Environment steps for each gradient step.
        updates_per_target: Gradient steps from one copy of the target network to the next.
        warm_up_steps: Environment steps before the first gradient step.
        exploring_steps: Environment steps in which `epsilon` falls from 1 to its end.
        final_epsilon: Share of random actions in the end.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(
        self,
        policy: QPolicy,
        replay: ReplayBuffer,
        *,
        seed: int,
        discount: float = 0.99,
        learning_rate: float = 1e-3,
        minibatch_size: int = 64,
        steps_per_update: int = 2,
        updates_per_target: int = 125,
        warm_up_steps: int = 1000,
        exploring_steps: int = 10_000,
        final_epsilon: float = 0.04,
        max_episode_length: int = 500,
    ) -> None:
        self.policy = policy
        self.max_episode_length = max_episode_length
        self._target = copy.deepcopy(policy)
        self._optimizer = torch.optim.Adam(policy.parameters(), lr=learning_rate)
        self._replay = replay
        self._rng = np.random.default_rng(seed)
        self._discount = discount
        self._minibatch_size = minibatch_size
        self._steps_per_update = steps_per_update
        self._updates_per_target = updates_per_target
        self._warm_up_steps = warm_up_steps
        self._exploring_steps = exploring_steps
        self._final_epsilon = final_epsilon
        self._updates = 0

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> float:
        """Train until the loop ends; return the mean return of the last batch."""
        mean_return = 0.0
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            self._replay.add(batch)
            loss = self._learn(batch.n_steps // self._steps_per_update)
            self._explore_less(loop.total_env_steps)
            loop.log({"Loss": loss, "Epsilon": self.policy.epsilon.item(), "ReplaySize": len(self._replay)})
            loop.step_itr += 1
            mean_return = float(batch.undiscounted_returns.mean())
        return mean_return

    def _learn(self, n_updates: int) -> float:
        """Make the gradient steps of an epoch; return their mean loss."""
        if len(self._replay) < self._warm_up_steps:
            return 0.0
        return float(np.mean([self._update() for _ in range(n_updates)]))

    def _update(self) -> float:
        batch = self._replay.sample(self._minibatch_size, self._rng)
        chosen: Tensor = self.policy(batch.observations).gather(1, batch.actions[:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(chosen, self._wanted(batch))
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._updates += 1
        if self._updates % self._updates_per_target == 0:
            self._target.load_state_dict(self.policy.state_dict())
        return loss.item()

    @torch.no_grad()
    def _wanted(self, batch: Transitions) -> Tensor:
        best: Tensor = self.policy(batch.next_observations).argmax(dim=1, keepdim=True)
        after: Tensor = self._target(batch.next_observations).gather(1, best).squeeze(1)
        return batch.rewards + self._discount * (1 - batch.terminal) * after

    def _explore_less(self, env_steps: int) -> None:
        share = min(1.0, env_steps / self._exploring_steps)
        self.policy.epsilon.fill_(1.0 + share * (self._final_epsilon - 1.0))


@wrap_experiment
def dqn_cartpole(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 120,
    batch_size: Annotated[int, Ge(1)] = 250,
    env_id: str = "CartPole-v1",
    lr: Annotated[float, Gt(0)] = 1e-3,
    replay_capacity: Annotated[int, Ge(1)] = 20_000,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a policy with DQN.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps of an epoch, at least: episodes are sampled whole.
        env_id: Environment with a vector of numbers as observation and discrete actions.
        lr: Step size of Adam.
        replay_capacity: Transitions that the replay buffer keeps.
        logger: Where numbers go, beside the journal that is always written.
    """
    torch.set_num_threads(1)  # the nets are small; and another number of threads gives other last bits
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = gymnasium.make(env_id)
    n_inputs, n_actions = flatdim(env.observation_space), flatdim(env.action_space)
    replay = ReplayBuffer(replay_capacity, n_inputs)
    algo = DQN(QPolicy(n_inputs, n_actions), replay, seed=seed, learning_rate=lr)
    runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=VecWorker)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    dqn_cartpole.main()
