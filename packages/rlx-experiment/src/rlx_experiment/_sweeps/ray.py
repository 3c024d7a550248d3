"""Sweeps on a Ray cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlx_experiment._experiment import Experiment
from rlx_experiment._missing import require
from rlx_experiment._sweeps.jobs import Job, OnEnd, pack_job, run_job


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Runs jobs as Ray tasks, on the cluster that Ray is connected to or on this machine.

    The run folders must be on a file system that all nodes see.

    Args:
        num_cpus: CPUs a job.
        num_gpus: GPUs a job; fractions share one.
        retries: How often a job whose process or node died is tried again.

    Raises:
        MissingExtraError: ray is not installed: ``pip install 'rlx-experiment[ray]'``.
    """

    num_cpus: float = 1
    num_gpus: float = 0
    retries: int = 1

    def run(self, template: Experiment, jobs: Sequence[Job], on_end: OnEnd) -> None:
        """Run `jobs` and wait for all of them."""
        ray = require("ray", "ray", "the Ray launcher")
        if not ray.is_initialized():
            ray.init()
        task = ray.remote(
            num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=self.retries, max_calls=1
        )(run_job)
        waiting: dict[Any, int] = {
            task.remote(pack_job(template, job)): index for index, job in enumerate(jobs)
        }
        while waiting:
            (done,), _ = ray.wait(list(waiting), num_returns=1)
            index = waiting.pop(done)
            try:
                code = int(ray.get(done))
            except ray.exceptions.RayError:
                code = 1
            on_end(index, code, 1)
