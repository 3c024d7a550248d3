"""Sweeps on a Slurm cluster, through submitit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlx_experiment._experiment import Experiment
from rlx_experiment._missing import require
from rlx_experiment._runs.signals import StopRequest, request_stop
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.jobs import FINISHED, STOPPED, Job, OnEnd, pack_job, run_job


class SlurmJob:
    """One job as submitit takes it; a job that is preempted is queued again and goes on from its last snapshot."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    def __call__(self) -> int:
        """Run the job on the node."""
        return run_job(self._packed)

    def checkpoint(self) -> Any:
        """Return what submitit queues again when the cluster takes the node away; until then the run is stopped."""
        request_stop()
        return require("submitit", "slurm", "a Slurm job").helpers.DelayedSubmission(self)


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Runs jobs as a Slurm job array.

    SIGTERM and SIGINT cancel the jobs: those that wait never start, those that run are signalled by the cluster, stop at
    their next good moment, and are killed if that does not come in time (Slurm's KillWait). A sweep that is killed leaves
    its jobs to themselves: ``scancel`` ends them, and a sweep launched again takes no run that is live.

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

    def run(self, template: Experiment, jobs: Sequence[Job], on_end: OnEnd) -> None:
        """Submit `jobs` and wait for all of them."""
        submitit = require("submitit", "slurm", "the Slurm launcher")
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        executor.update_parameters(**self.parameters)
        with StopRequest() as stop:
            with executor.batch():
                submitted = [executor.submit(SlurmJob(pack_job(template, job))) for job in jobs]
            waiting = self._wait(dict(enumerate(submitted)), stop, on_end)
            self._cancel(waiting)
        for index in waiting:
            code = _code_of_cancelled(jobs[index])
            if code is not None:
                on_end(index, code, 1)

    def _wait(self, waiting: dict[int, Any], stop: StopRequest, on_end: OnEnd) -> dict[int, Any]:
        """Wait for jobs, by their indices, until all have ended; return those that have not at a request to stop."""
        while waiting and not stop.requested:
            for index in [index for index, job in waiting.items() if job.done()]:
                on_end(index, _code(waiting.pop(index)), 1)
            if waiting and not stop.requested:
                time.sleep(self.poll)
        return waiting

    def _cancel(self, jobs: Mapping[int, Any]) -> None:
        """Cancel `jobs` and wait for their ends; another signal ends the waiting."""
        for job in jobs.values():
            job.cancel(check=False)
        live = list(jobs.values())
        while live:
            live[0].done(force_check=True)  # asks the cluster once, about all jobs
            live = [job for job in live if not job.done()]
            if live:
                time.sleep(self.poll)


def _code(job: Any) -> int:
    """Return the exit code of a submitit job that is done; 1 if it died without one."""
    if job.exception() is not None:
        return 1
    return int(job.result())


def _code_of_cancelled(job: Job) -> int | None:
    """Return the exit code of a job that was cancelled, by what its run recorded; None if it never started."""
    try:
        state = read_status(job.folder).state
    except FileNotFoundError:
        return None
    return {"finished": FINISHED, "failed": 1}.get(state, STOPPED)
