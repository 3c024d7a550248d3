"""Sampling with Ray, on one machine or many."""

from collections.abc import Mapping
from typing import Any

from rlx_protocols import WorkerFactory
from rlx_sampler._checks import positive_seconds
from rlx_sampler._keyed_sampler import KeyedSampler
from rlx_sampler._keys import TRAINING
from rlx_sampler._ray.engine import RayEngine
from rlx_sampler._workers.lane_worker import VecWorker


class RaySampler(KeyedSampler):
    """Runs episodes in actors of Ray; a batch has the same bits as a `LocalSampler` gives.

    It connects to Ray unless that has been done, and never ends a session of Ray.
    Actors that die are replaced, and their episodes are run again.

    Args:
        factory: See `KeyedSampler`. Without a worker class each worker is a
            `VecWorker`.
        agents: See `KeyedSampler`.
        envs: See `KeyedSampler`.
        stream: See `KeyedSampler`.
        worker_timeout: Seconds without a step after which a worker counts as stuck.
        ray_options: Arguments for ``ray.init``, such as `address`, where nobody has called it.
        actor_options: Options of the actors, such as `num_cpus`, which is what an actor keeps for itself: by default nothing.

    Raises:
        ValueError: If a list has another length than the number of workers, or
            `worker_timeout` is not positive.
        TypeError: If a policy or environment cannot be copied.
        ModuleNotFoundError: If Ray is not installed.
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
        ray_options: Mapping[str, Any] | None = None,
        actor_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._worker_timeout = positive_seconds("worker_timeout", worker_timeout)
        self._ray_options = dict(ray_options or {})
        self._actor_options = dict(actor_options or {})
        super().__init__(factory, agents, envs, stream=stream)

    def _start_engine(self) -> RayEngine:
        return RayEngine(
            self._factory,
            self._setups,
            probe=self._call_key(0).episode(0),
            worker_timeout=self._worker_timeout,
            ray_options=self._ray_options,
            actor_options=self._actor_options,
        )
