"""REINFORCE on CartPole-v1 with a policy in JAX: one file from the policy to the command line.

Start a run, kill it whenever you like, and continue where it was::

    python examples/reinforce_jax.py --log-dir data/reinforce
    python examples/reinforce_jax.py --log-dir data/reinforce --resume
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Gt
from gymnasium.spaces import flatdim
from numpy.typing import NDArray

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, LocalSampler, VecWorker, sample_categorical

Array = NDArray[Any]
Parameters = dict[str, Any]
"""Weights and biases by name: of NumPy where they come from a snapshot, of JAX after an update."""

CHUNK: Final = 512
"""Steps are filled up to a multiple of it, so that the update is compiled for few shapes."""


@jax.jit
def logits_of(parameters: Parameters, observations: Any) -> Any:
    """Return the logits of the actions, (B, actions), for B observations."""
    hidden = jnp.tanh(observations @ parameters["weights_0"] + parameters["bias_0"])
    return hidden @ parameters["weights_1"] + parameters["bias_1"]


class JaxPolicy:
    """Chooses among discrete actions by a net with one hidden layer of 64.

    Args:
        n_inputs: Numbers in an observation.
        n_actions: Actions to choose from.
        rng: Draws the first weights.
    """

    def __init__(self, n_inputs: int, n_actions: int, rng: np.random.Generator) -> None:
        self.parameters: Parameters = {}
        for layer, (before, after) in enumerate([(n_inputs, 64), (64, n_actions)]):
            weights = rng.standard_normal((before, after)) / before**0.5
            self.parameters[f"weights_{layer}"] = weights.astype(np.float32)
            self.parameters[f"bias_{layer}"] = np.zeros(after, np.float32)

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[Array, dict[str, Array]]:
        """Return the actions for B observations, (B,), each with noise from its own generator."""
        return sample_categorical(np.asarray(logits_of(self.parameters, observations)), rngs), {}

    def get_action(self, observation: Array, /, *, rng: np.random.Generator) -> tuple[Any, dict[str, Array]]:
        """Return the action for one observation."""
        actions, infos = self.get_actions(observation[np.newaxis], rngs=[rng])
        return actions[0], infos

    def get_param_values(self) -> dict[str, Array]:
        """Return the parameters by name, as arrays of NumPy: workers need no device."""
        return {name: np.asarray(value) for name, value in self.parameters.items()}

    def set_param_values(self, values: Mapping[str, Array], /) -> None:
        """Take over the parameters."""
        self.parameters = dict(values)


def loss_of(parameters: Parameters, observations: Any, actions: Any, weights: Any) -> Any:
    """Return the loss whose gradient makes actions likelier by their weights; those of weight 0 do not count."""
    logs = jax.nn.log_softmax(logits_of(parameters, observations))
    chosen = jnp.take_along_axis(logs, actions[:, jnp.newaxis], axis=1)[:, 0]
    return -(chosen * weights).sum() / jnp.count_nonzero(weights)


@jax.jit
def updated(
    parameters: Parameters, momentum: Parameters, batch: tuple[Any, Any, Any], lr: float
) -> tuple[Parameters, Parameters, Any]:
    """Return parameters and momentum after one step of gradient descent, and the loss before it."""
    loss, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
    momentum = {name: 0.9 * old + gradients[name] for name, old in momentum.items()}
    parameters = {name: value - lr * momentum[name] for name, value in parameters.items()}
    return parameters, momentum, loss


class Reinforce:
    """Policy gradients with the batch's mean as baseline.

    Source: Williams (1992), "Simple statistical gradient-following algorithms", eq. 4.

    Args:
        policy: Policy to train.
        learning_rate: Step size.
        discount: Weight of the next step's reward against this one's.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(
        self,
        policy: JaxPolicy,
        *,
        learning_rate: float,
        discount: float = 0.99,
        max_episode_length: int = 500,
    ) -> None:
        self.policy = policy
        self.max_episode_length = max_episode_length
        self._momentum: Parameters = {name: np.zeros_like(value) for name, value in policy.parameters.items()}
        self._learning_rate = learning_rate
        self._discount = discount

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> float:
        """Train until the loop ends; return the mean return of the last batch."""
        mean_return = 0.0
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            loop.log({"Loss": self._update(batch)})
            loop.step_itr += 1
            mean_return = float(batch.undiscounted_returns.mean())
        return mean_return

    def _update(self, batch: EpisodeBatch) -> float:
        returns = self._returns_to_go(batch)
        weights = (returns - returns.mean()) / (returns.std() + 1e-8)
        steps = (filled(batch.observations), filled(batch.actions), filled(weights.astype(np.float32)))
        self.policy.parameters, self._momentum, loss = updated(
            self.policy.parameters, self._momentum, steps, self._learning_rate
        )
        return float(loss)

    def _returns_to_go(self, batch: EpisodeBatch) -> Array:
        """Return the discounted return that followed each step, (N,)."""
        decay = np.full(batch.n_steps, self._discount)
        decay[np.cumsum(batch.lengths) - 1] = 0.0
        returns = np.zeros(batch.n_steps + 1)
        for step in reversed(range(batch.n_steps)):
            returns[step] = batch.rewards[step] + decay[step] * returns[step + 1]
        return returns[:-1]


def filled(steps: Array) -> Array:
    """Return `steps` with rows of zeros after them, up to a multiple of `CHUNK`."""
    missing = -len(steps) % CHUNK
    return np.concatenate([steps, np.zeros((missing, *steps.shape[1:]), steps.dtype)])


@wrap_experiment
def reinforce_jax(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 100,
    batch_size: Annotated[int, Ge(1)] = 2000,
    env_id: str = "CartPole-v1",
    lr: Annotated[float, Gt(0)] = 0.05,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a policy in JAX with REINFORCE.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps of an epoch, at least: episodes are sampled whole.
        env_id: Environment with a vector of numbers as observation and discrete actions.
        lr: Step size.
        logger: Where numbers go, beside the journal that is always written.
    """
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = gymnasium.make(env_id)
    sizes = flatdim(env.observation_space), flatdim(env.action_space)
    algo = Reinforce(JaxPolicy(*sizes, np.random.default_rng(seed)), learning_rate=lr)
    runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=VecWorker)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    reinforce_jax.main()
