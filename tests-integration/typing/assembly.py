"""Every implementation fits the protocol that its callers ask for; mypy and pyright read this, nothing runs it.

Implementers do not import the contract, so only here can a type checker see that the two have not drifted
apart. A cast or an ignored error in this file would mean that a protocol is wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_logging import (
    BaseLogger,
    CsvLogger,
    JournalLogger,
    JsonLinesLogger,
    LazyLogger,
    make_logger,
)
from rlx_protocols import (
    Algorithm,
    BackgroundStore,
    CommitAware,
    EpisodeBatchLike,
    KeyedPolicy,
    Logger,
    NullLogger,
    NullSnapshotStore,
    Policy,
    Sampler,
    SnapshotConfigLike,
    SnapshotStore,
    Stateful,
    TrainingLoop,
)
from rlx_protocols import WorkerFactory as ContractWorkerFactory
from rlx_protocols.testing import (
    CountingSampler,
    MemoryLogger,
    MemorySnapshotStore,
    ScriptedLoop,
    SteadyPolicy,
)
from rlx_runner import LocalRunner
from rlx_sampler import EpisodeBatch, LocalSampler, WorkerFactory
from rlx_snapshot import SnapshotConfig, Snapshotter


def snapshot_configs(context: ExperimentContext, config: SnapshotConfig) -> list[SnapshotConfigLike]:
    """What tells a runner where snapshots go."""
    return [context, config, Snapshotter()]


def snapshot_stores() -> list[SnapshotStore]:
    """What keeps whole-run states."""
    return [Snapshotter(background=True), NullSnapshotStore(), MemorySnapshotStore()]


def background_stores() -> list[BackgroundStore]:
    """What returns before a state is durable."""
    return [Snapshotter(background=True)]


def loggers(folder: Path, context: ExperimentContext) -> list[Logger]:
    """What takes named numbers."""
    made: list[BaseLogger] = [make_logger("csv", log_dir=folder), LazyLogger()]
    files: list[BaseLogger] = [JournalLogger(folder), CsvLogger(folder), JsonLinesLogger(folder)]
    return [*made, *files, NullLogger(), MemoryLogger(), context.logger()]


def loggers_that_resume(folder: Path) -> list[Stateful]:
    """What can be cut back to the position in a snapshot."""
    return [make_logger(["csv", "tensorboard"], log_dir=folder), JournalLogger(folder), NullLogger()]


def loggers_that_wait(folder: Path) -> list[CommitAware]:
    """What learns when a snapshot is durable."""
    return [make_logger("wandb", log_dir=folder)]


def samplers(factory: WorkerFactory, agent: Any, env: Any) -> list[Sampler[EpisodeBatchLike]]:
    """What collects episodes; the runner builds each through the same class method."""
    kinds: list[type[Sampler[EpisodeBatchLike]]] = [LocalSampler, CountingSampler]
    return [kind.from_worker_factory(factory, agent, env) for kind in kinds]


def samplers_that_resume(factory: WorkerFactory, agent: Any, env: Any) -> list[Stateful]:
    """What continues with the episodes that an unbroken run would have sampled."""
    return [LocalSampler.from_worker_factory(factory, agent, env)]


def batches(batch: EpisodeBatch) -> EpisodeBatchLike:
    """What a sampler gives back."""
    return batch


def one_worker_factory(factory: ContractWorkerFactory) -> WorkerFactory:
    """The sampler's worker factory is the contract's own."""
    return factory


def training_loops(runner: LocalRunner, scripted: ScriptedLoop) -> list[TrainingLoop[Any]]:
    """What an algorithm sees of the run."""
    return [runner, scripted]


class SmallestAlgorithm:
    """As little as a user's algorithm can be."""

    policy = SteadyPolicy()
    max_episode_length = 10

    def train(self, loop: TrainingLoop[EpisodeBatchLike], /) -> float:
        """Count what was collected."""
        steps = 0
        for epoch in loop.step_epochs():
            batch = loop.obtain_episodes(epoch)
            steps += batch.n_steps
            loop.log({"Steps": steps})
            loop.step_itr += 1
        return float(steps)


def algorithms() -> list[Algorithm]:
    """What learns."""
    return [SmallestAlgorithm()]


class Greedy:
    """A policy without noise."""

    def get_action(self, observation: Any, /) -> tuple[int, dict[str, Any]]:
        """Choose one action."""
        return int(observation[0] > 0), {}

    def get_actions(self, observations: Any, /) -> tuple[list[int], dict[str, Any]]:
        """Choose one action a row."""
        return [self.get_action(observation)[0] for observation in observations], {}


def policies() -> list[Policy]:
    """What chooses actions."""
    return [Greedy()]


def keyed_policies(steady: SteadyPolicy) -> list[KeyedPolicy]:
    """What takes its noise from outside, so that an episode depends on its key alone."""
    return [steady]


@wrap_experiment(snapshot_mode="all")
def experiment(ctxt: ExperimentContext, seed: int = 1, *, env: Any = None) -> object:
    """An experiment as users write it: the context, the logger and the runner fit without a cast."""
    runner = LocalRunner(ctxt, logger=ctxt.logger())
    runner.setup(SmallestAlgorithm(), env, sampler_cls=LocalSampler)
    return runner.train(n_epochs=seed, batch_size=4)


def call() -> None:
    """A wrapped function keeps its own signature, less the context."""
    experiment(seed=2)
