"""Cross-entropy method on CartPole-v1, with NumPy alone: one file from the policy to the command line.

Start a run, kill it whenever you like, and continue where it was::

    python examples/cem_cartpole.py --log-dir data/cem
    python examples/cem_cartpole.py --log-dir data/cem --resume
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import gymnasium
import numpy as np
from annotated_types import Ge
from gymnasium.spaces import flatdim
from numpy.typing import NDArray

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, LocalSampler, VecWorker

Array = NDArray[np.float64]


class LinearPolicy:
    """Pushes right where a linear function of the observation is positive; draws no noise.

    Args:
        n_inputs: Numbers in an observation.
    """

    def __init__(self, n_inputs: int) -> None:
        self.weights: Array = np.zeros(n_inputs + 1)

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.int64], dict[str, Any]]:
        """Return the actions for B observations, (B,)."""
        del rngs
        # A sum of products, not a matrix product: its last bits are the same for any number of rows.
        scores = (np.asarray(observations, np.float64) * self.weights[:-1]).sum(axis=1) + self.weights[-1]
        return (scores > 0).astype(np.int64), {}

    def get_action(
        self, observation: Array, /, *, rng: np.random.Generator
    ) -> tuple[np.int64, dict[str, Any]]:
        """Return the action for one observation."""
        actions, infos = self.get_actions(observation[np.newaxis], rngs=[rng])
        return actions[0], infos

    def get_param_values(self) -> dict[str, Array]:
        """Return the weights, the bias last."""
        return {"weights": self.weights}

    def set_param_values(self, values: Mapping[str, Array], /) -> None:
        """Take over the weights."""
        self.weights = values["weights"].copy()


class CEM:
    """Cross-entropy method: draw candidates, keep the best, fit the distribution to them.

    Source: Szita and Lorincz (2006), "Learning Tetris using the noisy cross-entropy method".

    Args:
        policy: Policy to train; holds the mean of the distribution after each epoch.
        seed: Seed of the candidates.
        n_candidates: Candidates of an epoch.
        n_elite: Best candidates, which the next distribution is fitted to.
        extra_std: Added to the standard deviation at first, less each epoch, against settling too early.
        extra_decay_epochs: Epochs until nothing is added any more.
        max_episode_length: Steps after which an episode is cut off.
    """

    def __init__(
        self,
        policy: LinearPolicy,
        *,
        seed: int,
        n_candidates: int = 20,
        n_elite: int = 4,
        extra_std: float = 0.5,
        extra_decay_epochs: int = 15,
        max_episode_length: int = 500,
    ) -> None:
        self.policy = policy
        self.max_episode_length = max_episode_length
        self._n_candidates = n_candidates
        self._n_elite = n_elite
        self._extra_std = extra_std
        self._extra_decay_epochs = extra_decay_epochs
        self._rng = np.random.default_rng(seed)
        self._mean: Array = policy.weights.copy()
        self._std: Array = np.ones_like(self._mean)

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> float:
        """Train until the loop ends; return the elite's mean return in the last epoch."""
        elite_return = 0.0
        for epoch in loop.step_epochs():
            candidates = self._draw(epoch)
            returns = np.array([self._evaluate(loop, candidate) for candidate in candidates])
            elite = np.argsort(-returns, kind="stable")[: self._n_elite]
            self._mean, self._std = candidates[elite].mean(axis=0), candidates[elite].std(axis=0)
            self.policy.set_param_values({"weights": self._mean})
            elite_return = float(returns[elite].mean())
            loop.log({"EliteReturn": elite_return, "Std": float(self._std.mean())})
        return elite_return

    def _draw(self, epoch: int) -> Array:
        extra = self._extra_std * max(0.0, 1.0 - epoch / self._extra_decay_epochs)
        noise = self._rng.standard_normal((self._n_candidates, self._mean.size))
        return self._mean + (self._std + extra) * noise

    def _evaluate(self, loop: TrainingLoop[EpisodeBatch], candidate: Array) -> float:
        batch = loop.obtain_episodes(loop.step_itr, agent_update={"weights": candidate})
        loop.step_itr += 1
        return float(batch.undiscounted_returns.mean())


@wrap_experiment
def cem_cartpole(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: Annotated[int, Ge(0)] = 30,
    batch_size: Annotated[int, Ge(1)] = 500,
    env_id: str = "CartPole-v1",
    n_candidates: Annotated[int, Ge(2)] = 20,
    n_elite: Annotated[int, Ge(1)] = 4,
    logger: Literal["csv", "tensorboard", "wandb", "none"] = "csv",
) -> Any:
    """Train a linear policy with the cross-entropy method.

    Args:
        ctxt: Where the run lives; given by `wrap_experiment`.
        seed: Root of every random stream.
        n_epochs: Epochs in total, those before a resume included.
        batch_size: Environment steps, at least, that each candidate is tried for.
        env_id: Environment with a vector of numbers as observation and two actions.
        n_candidates: Candidates of an epoch.
        n_elite: Best candidates, which the next distribution is fitted to.
        logger: Where numbers go, beside the journal that is always written.
    """
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    env = gymnasium.make(env_id)
    policy = LinearPolicy(n_inputs=flatdim(env.observation_space))
    algo = CEM(policy, seed=seed, n_candidates=n_candidates, n_elite=n_elite)
    runner.setup(algo, env, sampler_cls=LocalSampler, n_workers=1, worker_class=VecWorker)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    cem_cartpole.main()
