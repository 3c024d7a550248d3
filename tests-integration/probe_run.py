"""A small run that draws on every kind of state a resume must bring back, in a few milliseconds an epoch."""

import random
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
from numpy.typing import NDArray

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_protocols import TrainingLoop
from rlx_runner import LocalRunner, set_seed
from rlx_sampler import EpisodeBatch, LocalSampler

Array = NDArray[np.float64]


class NoisyPolicy:
    """Leans to one side of the cart, with noise."""

    def __init__(self) -> None:
        self.weights: Array = np.zeros(4)

    def get_actions(
        self, observations: Array, /, *, rngs: Sequence[np.random.Generator]
    ) -> tuple[NDArray[np.int64], dict[str, Any]]:
        """Return one action a row."""
        scores = (observations * self.weights).sum(axis=1) + [rng.normal() for rng in rngs]
        return (scores > 0).astype(np.int64), {}

    def get_param_values(self) -> dict[str, Array]:
        """Return the weights."""
        return {"weights": self.weights}

    def set_param_values(self, values: Mapping[str, Array], /) -> None:
        """Take over the weights, in place."""
        self.weights[:] = values["weights"]


class Probe:
    """Changes its weights by everything that is random, and by what was sampled."""

    hold_at = -1
    """Epoch that never ends; set on the class, so that no snapshot holds it."""

    def __init__(self, *, seed: int, replay_rows: int) -> None:
        self.policy = NoisyPolicy()
        self.max_episode_length = 50
        self._optimised = self.policy.weights  # as an optimiser holds the parameters of a policy
        self._momentum: Array = np.zeros(4)
        self._rng = np.random.default_rng(seed)
        self._visited: set[str] = set()
        self._replay: Array = np.zeros((replay_rows, 4))
        self._added = 0

    def train(self, loop: TrainingLoop[EpisodeBatch], /) -> float:
        """Train until the loop ends; return the sum of the weights."""
        for epoch in loop.step_epochs():
            if epoch == self.hold_at:
                hold()
            batch = loop.obtain_episodes(epoch)
            self._remember(batch)
            noise = [random.gauss(0, 1), np.random.normal(), self._rng.normal(), batch.rewards.mean() / 100]
            self._momentum = 0.9 * self._momentum + np.array(noise)
            self._optimised += 0.01 * self._momentum
            self._visited.add(f"epoch {epoch}")
            for name in sorted(self._visited)[-2:]:
                loop.log({f"Visited/{len(name)}": float(self._optimised.sum())})
            loop.log({"Weights": float(self._optimised.sum()), "Visits": len(self._visited)})
            loop.step_itr += 1
        return float(self._optimised.sum())

    def _remember(self, batch: EpisodeBatch) -> None:
        rows = (self._added + np.arange(batch.n_steps)) % len(self._replay)
        self._replay[rows] = batch.observations
        self._added += batch.n_steps
        self._momentum += 1e-3 * self._replay[
            self._rng.integers(min(self._added, len(self._replay)), size=8)
        ].mean(axis=0)


def hold() -> None:
    """Say so, and do nothing until a signal ends the program."""
    print("holding", flush=True)
    while True:
        signal.pause()


@wrap_experiment
def probe(
    ctxt: ExperimentContext,
    *,
    seed: int = 1,
    n_epochs: int = 60,
    batch_size: int = 60,
    logger: Literal["csv", "tensorboard"] = "csv",
    replay_rows: int = 500,
    hold_at: int = -1,
) -> Any:
    """Run the probe."""
    Probe.hold_at = hold_at
    runner = LocalRunner(ctxt, logger=ctxt.logger(logger))
    if ctxt.resuming and runner.try_restore(ctxt.snapshot_dir):
        return runner.resume(n_epochs=n_epochs, batch_size=batch_size)
    set_seed(seed)
    algo = Probe(seed=seed, replay_rows=replay_rows)
    runner.setup(algo, gymnasium.make("CartPole-v1"), sampler_cls=LocalSampler, n_workers=1)
    return runner.train(n_epochs=n_epochs, batch_size=batch_size)


if __name__ == "__main__":
    probe.main()
