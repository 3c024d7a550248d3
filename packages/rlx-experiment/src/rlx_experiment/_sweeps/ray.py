"""Sweeps on a Ray cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rlx_experiment._experiment import Experiment
from rlx_experiment._missing import require
from rlx_experiment._runs.signals import StopRequest
from rlx_experiment._sweeps.jobs import FAILED, Job, OnEnd, may_be_tried_again, pack_job, run_anywhere

_POLL_S: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Runs jobs as Ray tasks, on the cluster that Ray is connected to or on this machine.

    The run folders must be on a file system that all nodes see. SIGTERM and SIGINT to the sweep cancel the jobs: those that
    wait never start, those that run are asked to stop, and can continue when the sweep is launched again.

    Args:
        num_cpus: CPUs a job.
        num_gpus: GPUs a job; fractions share one.
        retries: How often a job that failed, or whose process or node died, is tried again.

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
        task = ray.remote(num_cpus=self.num_cpus, num_gpus=self.num_gpus, max_retries=0, max_calls=1)(
            run_anywhere
        )
        packed = [ray.put(pack_job(template, job)) for job in jobs]
        tries = [1] * len(jobs)
        waiting: dict[Any, int] = {task.remote(data): index for index, data in enumerate(packed)}
        with StopRequest() as stop:
            while waiting and not stop.requested:
                done, _ = ray.wait(list(waiting), num_returns=1, timeout=_POLL_S)
                for reference in done:
                    index = waiting.pop(reference)
                    code = _code(ray, reference)
                    if may_be_tried_again(code) and tries[index] <= self.retries:
                        tries[index] += 1
                        waiting[task.remote(packed[index])] = index
                    else:
                        on_end(index, FAILED if code is None else code, tries[index])
            self._cancel(ray, waiting, tries, on_end)

    def _cancel(self, ray: Any, waiting: Mapping[Any, int], tries: Sequence[int], on_end: OnEnd) -> None:
        """Cancel jobs and wait for the ends of those that run, which hear it as a SIGINT."""
        for reference in waiting:
            ray.cancel(reference, force=False)
        for reference, index in waiting.items():
            code = _code(ray, reference)
            if code is not None:
                on_end(index, code, tries[index])


def _code(ray: Any, reference: Any) -> int | None:
    """Return the exit code of a task; None if it died, or was cancelled before it began."""
    try:
        return int(ray.get(reference))
    except ray.exceptions.RayError:
        return None
