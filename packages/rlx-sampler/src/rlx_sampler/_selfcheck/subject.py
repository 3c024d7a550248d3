"""What is checked: workers like those of the sampler, which are thrown away afterwards."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from rlx_protocols import WorkerFactory
from rlx_sampler._batches.recorded import assemble
from rlx_sampler._batches.trees import Array
from rlx_sampler._engine import OneEpisode, build_worker
from rlx_sampler._exactness import layers
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._selfcheck.deadlines import Deadline
from rlx_sampler._selfcheck.reference import ReferenceEpisode, Replay
from rlx_sampler._selfcheck.traces import Trace, trace_of
from rlx_sampler._workers.fragment_worker import FragmentWorker
from rlx_sampler._workers.lane_worker import DefaultWorker, VecWorker
from rlx_sampler._workers.setups import Setup
from rlx_sampler._workers.worker import Worker

MOST_STEPS: Final = 100
"""Steps after which an episode of the check is cut off."""
LANES: Final = 2
"""Environments of a checked worker whose environments live on."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A policy, an environment, and the keys of episodes to try them with."""

    factory: WorkerFactory
    setup: Setup
    inference_rows: int | None
    keys: Sequence[EpisodeKey]
    has_lanes: bool
    """Whether the environment steps several lanes at once."""
    longest: int = MOST_STEPS
    """Steps after which an episode is cut off."""
    reference: ReferenceEpisode | None = None
    """An episode of the process that saved; None where nothing was restored, or changed since."""

    @property
    def lives_on(self) -> bool:
        """Whether the environments live on between calls."""
        worker_class = self.factory.worker_class
        return isinstance(worker_class, type) and issubclass(worker_class, FragmentWorker)

    def replaying(self, actions: Array) -> "Subject":
        """Return the same with a policy that takes recorded actions."""
        return replace(self, setup=replace(self.setup, agent=Replay(actions), parameters=None))

    @contextmanager
    def worker(self, *, as_given: bool = False) -> Generator[Worker]:
        """Build a worker that runs whole episodes, or one of the class that the sampler has."""
        worker = build_worker(self._as_given() if as_given else self._plain(), self.setup, 0)
        try:
            worker.use_inference_rows(self.inference_rows)
            yield worker
        finally:
            worker.shutdown()

    def _as_given(self) -> WorkerFactory:
        arguments = dict(self.factory.worker_args or {})
        if self.lives_on:
            arguments["n_envs"] = LANES
        return replace(self._cut(), worker_args=arguments)

    def _plain(self) -> WorkerFactory:
        is_ours = self.factory.worker_class in (DefaultWorker, VecWorker, FragmentWorker)
        if self.has_lanes or not is_ours:
            return self._cut()
        rows = (self.factory.worker_args or {}).get("inference_rows")
        arguments = {} if rows is None else {"inference_rows": rows}
        return replace(self._cut(), worker_class=DefaultWorker, worker_args=arguments)

    def _cut(self) -> WorkerFactory:
        longest = min(self.factory.max_episode_length, self.longest)
        return replace(self.factory, max_episode_length=longest)

    def environment_of(self, worker: Worker) -> str:
        """Return the classes of a worker's environment, from the outermost wrapper to the innermost."""
        environments = (
            worker.environments.all() if isinstance(worker, VecWorker) else [self.setup.environment]
        )
        names = [type(layer).__name__ for environment in environments[:1] for layer in layers(environment)]
        return "(".join(names) + ")" * (len(names) - 1)

    @property
    def most_steps(self) -> int:
        """Steps after which an episode is cut off."""
        return self._cut().max_episode_length


@dataclass(frozen=True, slots=True)
class _LimitedLease:
    """A lease of given keys that ends the check when its time is over."""

    keys: OneEpisode
    deadline: Deadline

    def take_all(self) -> None:
        """Take no whole call: there are only these keys."""

    def next_range(self, count: int) -> None:
        """Take no range of keys."""

    def next_key(self) -> EpisodeKey | None:
        """Return the next key, and forget it."""
        return self.keys.next_key()

    def is_over(self) -> bool:
        """Say that it is wanted to the end."""
        self.deadline.check()
        return False


def run(worker: Any, keys: Sequence[EpisodeKey], deadline: Deadline) -> list[Trace]:
    """Run the episodes of `keys` together; return their traces, in the order of `keys`.

    Raises:
        OutOfTimeError: If there is no time for that.
        EpisodeError: If the environment or the policy raises.
    """
    deadline.check()
    lease = _LimitedLease(OneEpisode(list(reversed(keys))), deadline)
    found: dict[int, Trace] = {}
    for chunk in worker.run(lease):
        for index, part in zip(chunk.indices, chunk.parts(), strict=True):
            found[index] = trace_of(assemble([part]))
    return [found[key.episode] for key in keys]
