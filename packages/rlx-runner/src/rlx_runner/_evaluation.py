"""Judging the policy now and then, apart from training."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlx_runner._checks import check_count, check_function, check_object, check_offers
from rlx_runner._metrics import EpochMetrics
from rlx_runner._offers import evaluation_policy_of
from rlx_runner._plan import plan_sampling
from rlx_runner._random import undisturbed_random
from rlx_runner._sampling import Sampling

EVALUATION_STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Judges the policy every few epochs, on random streams of its own.

    What it finds is logged in the scope ``evaluation``, apart from the rows of training. The
    algorithm's `evaluation_policy` is judged, which is the place for one without exploration;
    where there is none, its `policy`, with the exploration that it has. Whole episodes are run,
    by the default worker of the run's sampler.

    Args:
        every: Epochs from one evaluation to the next; the first is after epoch ``every - 1``.
        n_episodes: Whole episodes an evaluation.
        env: Environment to judge in; defaults to a copy of the one trained in.
        on_best: Called with the policy whenever its average return is the best so far. A return
            that is NaN or infinite is never the best; an `EvaluationWarning` says so.

    Raises:
        TypeError: If `every` or `n_episodes` is no whole number, `env` is no environment or `on_best` no function.
        ValueError: If `every` or `n_episodes` is below 1.
    """

    every: int
    n_episodes: int = 10
    env: Any = None
    on_best: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        check_count("an evaluation's every", self.every, least=1)
        check_count("an evaluation's n_episodes", self.n_episodes, least=1)
        check_function("an evaluation's on_best", self.on_best, "a function of the policy")
        if self.env is not None:
            check_object("an evaluation's env", self.env)
            check_offers("an evaluation's env", self.env, ("reset", "step"), "an environment, or None")


class EvaluationWarning(UserWarning):
    """The average return of an evaluation is NaN or infinite, so it cannot be compared."""


class Evaluator:
    """Carries out an `Evaluation` for one algorithm.

    Args:
        evaluation: What to do.
        algo: Where the policy comes from.
        env: Environment to judge in.
        sampler_cls: Class of the sampler.
        sampler_args: Further arguments for it.
        seed: Root seed of the run; the evaluation's streams are derived from it.
    """

    def __init__(
        self,
        evaluation: Evaluation,
        algo: Any,
        env: Any,
        *,
        sampler_cls: Any,
        sampler_args: Mapping[str, Any] | None = None,
        seed: int | None,
    ) -> None:
        self._evaluation = evaluation
        root = np.random.SeedSequence(seed, spawn_key=(EVALUATION_STREAM,)).generate_state(1)[0]
        plan = plan_sampling(algo, sampler_cls, seed=int(root), n_workers=1, sampler_args=sampler_args)
        self._sampling = Sampling(plan, algo, env, evaluation_policy_of)
        self._best: float | None = None

    def due(self, epoch: int) -> bool:
        """Whether an evaluation follows `epoch`."""
        return (epoch + 1) % self._evaluation.every == 0

    def run(self, epoch: int) -> dict[str, float]:
        """Judge the policy; return the numbers for the log. Training finds the global generators as they were."""
        with undisturbed_random():
            return self._judge(epoch)

    def _judge(self, epoch: int) -> dict[str, float]:
        metrics = EpochMetrics()
        metrics.add_batch(self._sampling.obtain_exact(epoch, self._evaluation.n_episodes))
        average = metrics.average_return
        if average is None:  # a sampler whose batches do not tell
            return metrics.row()
        if not math.isfinite(average):
            _warn_not_finite(epoch, average)
        elif self._best is None or average > self._best:
            self._best = average
            if self._evaluation.on_best is not None:
                self._evaluation.on_best(self._sampling.policy)
        return metrics.row() if self._best is None else {**metrics.row(), "BestReturn": self._best}

    def close(self) -> None:
        """Release the workers."""
        self._sampling.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the best return so far and the sampler's state."""
        return {"best": self._best, "sampler": self._sampling.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any], *, allow_statistical: bool) -> None:
        """Continue from `state`."""
        best = state["best"]
        self._best = None if best is None or not math.isfinite(best) else best
        self._sampling.load_state_dict(state["sampler"], allow_statistical=allow_statistical)


def _warn_not_finite(epoch: int, average: float) -> None:
    what = "NaN" if math.isnan(average) else "infinite" if average > 0 else "minus infinity"
    warnings.warn(
        f"the average return of the evaluation after epoch {epoch} is {what}: the policy does not count for "
        f"BestReturn and on_best is not called. Look at the environment's rewards and the policy's parameters.",
        EvaluationWarning,
        stacklevel=2,
    )
