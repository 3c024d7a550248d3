"""Sweeps on a Slurm cluster, through submitit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rlx_experiment._jobs import Job, pack_job, run_job
from rlx_experiment._missing import require

if TYPE_CHECKING:
    from rlx_experiment._pool import OnEnd
    from rlx_experiment._template import ExperimentTemplate


class SlurmJob:
    """One job as submitit takes it; a job that is preempted is queued again and goes on from its last snapshot."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __call__(self) -> int:
        """Run the job on the node."""
        return run_job(self._packed)

    def checkpoint(self) -> Any:
        """Return what submitit queues again when the cluster takes the node away."""
        return require("submitit", "slurm", "a Slurm job").helpers.DelayedSubmission(self)


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Runs jobs as a Slurm job array.

    Args:
        folder: Where submitit keeps its files; ``%j`` stands for the job's number.
        cluster: None for what is found, 'slurm', or 'local' to run the jobs on this machine.
        parameters: Parameters of ``submitit.AutoExecutor``: ``timeout_min``, ``gpus_per_node``, ``slurm_partition`` …
        poll: Seconds from one look at the jobs to the next.

    Raises:
        MissingExtraError: submitit is not installed: ``pip install 'rlx-experiment[slurm]'``.
    """

    folder: str = "data/local/.slurm/%j"
    cluster: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    poll: float = 5.0

    def run(self, template: "ExperimentTemplate", jobs: Sequence[Job], on_end: "OnEnd") -> None:
        """Submit `jobs` and wait for all of them."""
        submitit = require("submitit", "slurm", "the Slurm launcher")
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        executor.update_parameters(**self.parameters)
        with executor.batch():
            submitted = [executor.submit(SlurmJob(pack_job(template, job))) for job in jobs]
        waiting = dict(enumerate(submitted))
        while waiting:
            for index in [index for index, job in waiting.items() if job.done()]:
                on_end(index, _code(waiting.pop(index)), 1)
            if waiting:
                time.sleep(self.poll)


def _code(job: Any) -> int:
    """Return the exit code of a submitit job that is done; 1 if it died without one."""
    if job.exception() is not None:
        return 1
    return int(job.result())
