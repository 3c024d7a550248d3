"""What ``setup`` settles: the parts of a run that stay the same from epoch to epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from rlx_runner._checks import check_offers
from rlx_runner._commit import gather
from rlx_runner._environments import Savable, copy_of, savable
from rlx_runner._evaluation import Evaluation, Evaluator
from rlx_runner._plan import plan_sampling
from rlx_runner._process.switches import read_modes
from rlx_runner._progress import Progress
from rlx_runner._records import ExperimentStats, SetupArgs, TrainArgs
from rlx_runner._sampling import Sampling
from rlx_runner._state import RunState


@dataclass(frozen=True)
class SamplerChoice:
    """What is sampled with; None leaves the choice to the runner or, at a resume, to the saved run."""

    sampler_cls: Any = None
    sampler_args: dict[str, Any] | None = None
    n_workers: int | None = None
    worker_class: Any = None
    worker_args: dict[str, Any] | None = None

    def over(self, state: RunState) -> "SamplerChoice":
        """Return the saved run's choice, changed where this one says something."""
        saved = SamplerChoice(
            state.setup_args.sampler_cls,
            state.setup_args.sampler_args,
            state.n_workers,
            state.worker_class,
            state.worker_args,
        )
        return replace(saved, **{name: value for name, value in vars(self).items() if value is not None})


@dataclass(frozen=True, kw_only=True)
class Setup:
    """The parts of a run."""

    algo: Any
    env: Any
    choice: SamplerChoice
    seed: int | None
    sampling: Sampling
    evaluator: Evaluator | None
    parent: Mapping[str, Any] | None = None
    modes: Mapping[str, Any] = field(default_factory=read_modes)

    def state(
        self, *, epoch: int, progress: Progress, train_args: TrainArgs, logger: Any, last_episode: Any
    ) -> RunState:
        """Return the whole run as it stands after `epoch`; flushes the logs."""
        choice = self.choice
        exact = gather(
            logger,
            lambda: {
                "sampler": self.sampling.state_dict(),
                "sampler_exactness": self.sampling.exactness(),
                "evaluation": None if self.evaluator is None else self.evaluator.state_dict(),
                "elapsed": progress.elapsed,
                "average_return": progress.average_return,
                "parent": self.parent,
                "modes": self.modes,
                "rebuilt_env": self._savable.rebuilt,
            },
        )
        return RunState(
            setup_args=SetupArgs(choice.sampler_cls, choice.sampler_args, self.seed),
            train_args=train_args,
            stats=ExperimentStats(epoch, progress.itr, progress.env_steps, last_episode),
            env=self._savable.env,
            algo=self.algo,
            n_workers=choice.n_workers,
            worker_class=choice.worker_class,
            worker_args=choice.worker_args,
            exact=exact,
        )

    @cached_property
    def _savable(self) -> Savable:
        return savable(self.env)

    @property
    def first_env(self) -> Any:
        """The environment, or the first worker's."""
        return first_of(self.env)

    def train(self, loop: Any) -> Any:
        """Let the algorithm train with `loop`; return its value.

        Raises:
            TypeError: If it has no ``train``.
        """
        check_offers("algo", self.algo, ("train",), "an algorithm with train(loop)")
        return self.algo.train(loop)

    def load(self, exact: Mapping[str, Any], *, allow_statistical: bool) -> None:
        """Give sampler and evaluator their saved states."""
        self.sampling.load_state_dict(exact["sampler"], allow_statistical=allow_statistical)
        if self.evaluator is not None and exact["evaluation"] is not None:
            self.evaluator.load_state_dict(exact["evaluation"], allow_statistical=allow_statistical)

    def close(self) -> None:
        """Release all workers."""
        try:
            self.sampling.close()
        finally:
            if self.evaluator is not None:
                self.evaluator.close()


def set_up(
    algo: Any, env: Any, choice: SamplerChoice, *, seed: int | None, evaluation: Evaluation | None
) -> Setup:
    """Put the parts together.

    Raises:
        ValueError: If a sampler is asked for and the algorithm lacks what it needs.
    """
    plan = None
    if choice.sampler_cls is not None:
        plan = plan_sampling(
            algo,
            choice.sampler_cls,
            seed=seed,
            n_workers=choice.n_workers,
            worker_class=choice.worker_class,
            sampler_args=choice.sampler_args,
            worker_args=choice.worker_args,
        )
    evaluator = None
    if evaluation is not None:
        if choice.sampler_cls is None:
            raise ValueError("an evaluation needs a sampler: pass sampler_cls to setup().")
        evaluation_env = copy_of(first_of(env)) if evaluation.env is None else evaluation.env
        evaluator = Evaluator(
            evaluation,
            algo,
            evaluation_env,
            sampler_cls=choice.sampler_cls,
            sampler_args=choice.sampler_args,
            seed=seed,
        )
    return Setup(
        algo=algo,
        env=env,
        choice=choice,
        seed=seed,
        sampling=Sampling(plan, algo, env),
        evaluator=evaluator,
    )


def first_of(envs: Any) -> Any:
    """Return the environment, or the first of a list of one a worker."""
    return envs[0] if isinstance(envs, list) else envs  # pyright: ignore[reportUnknownVariableType]
