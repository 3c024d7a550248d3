"""Judging the policy now and then, apart from training."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rlx_runner._metrics import EpochMetrics
from rlx_runner._offers import evaluation_policy_of, method, parameters_of, stateful
from rlx_runner._plan import plan_sampling

EVALUATION_STREAM = 1


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Runs the policy without exploration every few epochs, on random streams of its own.

    The algorithm's `evaluation_policy` is judged where it has one, else its `policy`.

    Args:
        every: Epochs from one evaluation to the next; the first is after epoch ``every - 1``.
        n_episodes: Whole episodes an evaluation.
        env: Environment to judge in; defaults to a copy of the one trained in.
        on_best: Called with the policy whenever its average return is the best so far.

    Raises:
        ValueError: If `every` or `n_episodes` is below 1.
    """

    every: int
    n_episodes: int = 10
    env: Any = None
    on_best: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        for name, value in (("every", self.every), ("n_episodes", self.n_episodes)):
            if value < 1:
                raise ValueError(f"an evaluation's {name} is {value}; it must be at least 1.")


class Evaluator:
    """Carries out an :class:`Evaluation` for one algorithm.

    Args:
        evaluation: What to do.
        algo: Where the policy comes from.
        env: Environment to judge in.
        sampler_cls: Class of the sampler.
        seed: Root seed of the run; the evaluation's streams are derived from it.
    """

    def __init__(
        self, evaluation: Evaluation, algo: Any, env: Any, *, sampler_cls: Any, seed: int | None
    ) -> None:
        self._evaluation = evaluation
        self._algo = algo
        root = np.random.SeedSequence(seed, spawn_key=(EVALUATION_STREAM,)).generate_state(1)[0]
        self._plan = plan_sampling(algo, sampler_cls, seed=int(root), n_workers=1)
        self._env = env
        self._sampler: Any = None
        self._state: dict[str, Any] = {}

    def due(self, epoch: int) -> bool:
        """Whether an evaluation follows `epoch`."""
        return (epoch + 1) % self._evaluation.every == 0

    def run(self, epoch: int) -> dict[str, float]:
        """Judge the policy; return the numbers for the log."""
        if self._sampler is None:
            self._sampler = self._plan.build(evaluation_policy_of(self._algo), self._env)
            restorable = stateful(self._sampler)
            if restorable is not None and self._state.get("sampler") is not None:
                restorable.load_state_dict(self._state["sampler"])
        update = parameters_of(evaluation_policy_of(self._algo))
        metrics = EpochMetrics()
        metrics.add_batch(self._obtain(epoch, update))
        average = metrics.average_return
        if average is None:
            return {}
        best = self._state.get("best")
        if best is None or average > best:
            self._state["best"] = average
            if self._evaluation.on_best is not None:
                self._evaluation.on_best(evaluation_policy_of(self._algo))
        return {"Evaluation/AverageReturn": average, "Evaluation/BestReturn": self._state["best"]}

    def _obtain(self, epoch: int, update: Any) -> Any:
        exact = method(self._sampler, "obtain_exact_episodes")
        if exact is not None:
            return exact(self._evaluation.n_episodes, update)
        return self._sampler.obtain_samples(epoch, self._evaluation.n_episodes, update)

    def close(self) -> None:
        """Release the workers."""
        self._state = self.state_dict()
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.shutdown_worker()

    def state_dict(self) -> dict[str, Any]:
        """Return the best return so far and the sampler's state."""
        restorable = None if self._sampler is None else stateful(self._sampler)
        kept = self._state.get("sampler") if restorable is None else restorable.state_dict()
        return {"best": self._state.get("best"), "sampler": kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self._state = dict(state)
