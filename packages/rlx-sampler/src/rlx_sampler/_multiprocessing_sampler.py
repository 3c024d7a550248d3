"""Sampling in several processes of one machine."""

from typing import Any

from rlx_protocols import WorkerFactory
from rlx_sampler._checks import positive_seconds
from rlx_sampler._keyed_sampler import KeyedSampler
from rlx_sampler._keys import TRAINING
from rlx_sampler._processes.engine import ProcessEngine
from rlx_sampler._processes.shared_memory import has_shared_memory
from rlx_sampler._workers.lane_worker import VecWorker


class MultiprocessingSampler(KeyedSampler):
    """Runs episodes in worker processes; a batch has the same bits as a `LocalSampler` gives.

    Steps and parameters go through shared memory on Linux, and through pipes elsewhere.
    A worker that dies is replaced and its episodes are run again; when the process of
    the sampler dies, its workers end too.

    Args:
        factory: See `KeyedSampler`. Without a worker class each worker is a
            `VecWorker`.
        agents: See `KeyedSampler`.
        envs: See `KeyedSampler`.
        stream: See `KeyedSampler`.
        worker_timeout: Seconds without a step after which a worker counts as stuck.
        shared_memory: Whether to use shared memory; None does so where there is some.

    Raises:
        ValueError: If a list has another length than the number of workers, or
            `worker_timeout` is not positive, or there is no shared memory here.
        TypeError: If a policy or environment cannot be copied.
        WorkerError: If a worker cannot be built.
    """

    default_worker = VecWorker

    def __init__(
        self,
        factory: WorkerFactory,
        agents: Any,
        envs: Any,
        *,
        stream: int = TRAINING,
        worker_timeout: float = 120.0,
        shared_memory: bool | None = None,
    ) -> None:
        if shared_memory and not has_shared_memory():
            raise ValueError("shared_memory=True needs Linux; leave it at None here.")
        self._worker_timeout = positive_seconds("worker_timeout", worker_timeout)
        self._shared_memory = has_shared_memory() if shared_memory is None else shared_memory
        super().__init__(factory, agents, envs, stream=stream)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers; empty after `shutdown_worker`."""
        return self._engine.pids if isinstance(self._engine, ProcessEngine) else []

    @property
    def pickled_episodes(self) -> int:
        """Episodes that came pickled, because they hold something that is no number."""
        return self._engine.pickled_episodes if isinstance(self._engine, ProcessEngine) else 0

    def _start_engine(self) -> ProcessEngine:
        return ProcessEngine(
            self._factory,
            self._setups,
            probe=self._call_key(0).episode(0),
            worker_timeout=self._worker_timeout,
            shared_memory=self._shared_memory,
        )
