"""Sweeps on a Slurm cluster, through submitit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rlx_experiment._checks import check_count
from rlx_experiment._experiment import Experiment
from rlx_experiment._missing import require
from rlx_experiment._runs.signals import StopRequest
from rlx_experiment._sweeps import slurm_commands
from rlx_experiment._sweeps.jobs import Job, OnEnd, pack_job
from rlx_experiment._sweeps.slurm_job import SlurmJob
from rlx_experiment._sweeps.slurm_queue import LocalQueue, SlurmQueue, Submitted
from rlx_experiment._sweeps.slurm_watch import Watch
from rlx_experiment._terminal import notify

_TIMEOUT_MIN: Final = 240
_WARNING_S: Final = 120
"""Seconds before its time limit at which a job is asked to stop; Slurm looks every 30 s and sends it up to 60 s early."""


@dataclass(frozen=True, kw_only=True)
class Slurm:
    """Runs jobs as a Slurm job array.

    A job that is preempted, loses its node or runs out of time is queued again and continues in its run folder. SIGTERM
    and SIGINT to the sweep cancel the jobs: those that wait never start, those that run are asked to stop and are killed
    if they do not in time (Slurm's KillWait). A sweep that is killed leaves its jobs to the cluster; launched again, it
    waits for those that are still there and submits what is missing.

    Neither sacct nor a database is needed: what a job did is read from its run folder, whether it is there from squeue.

    Args:
        folder: Where submitit keeps its files, on a file system that all nodes see; ``%j`` stands for the job's number.
        cluster: None for what is found, 'slurm', or 'local' to run the jobs on this machine.
        parameters: Parameters of ``submitit.AutoExecutor``: ``timeout_min`` (a job's minutes from start to being queued
            again; 240 by default), ``mem_gb``, ``cpus_per_task``, ``gpus_per_node``, ``slurm_partition``,
            ``slurm_account``, ``slurm_qos``, ``slurm_constraint``, ``slurm_array_parallelism`` (jobs at once; 256 by
            default), ``slurm_signal_delay_s`` (seconds before the limit at which a run is asked to stop; 120 by default,
            a quarter of a shorter limit), ``slurm_setup`` (commands before the job), ``slurm_additional_parameters``.
        poll: Seconds from one look at the jobs to the next.
        requeues: How often a job may be queued again.
        retries: How often a job that died is submitted again.
        outage: Seconds for which a scheduler that does not answer is waited for.

    Raises:
        MissingExtraError: submitit is not installed: ``pip install 'rlx-experiment[slurm]'``.
        SlurmUnavailableError: The scheduler did not answer for `outage` seconds; what was submitted continues, and a sweep
            launched again joins it.
        ValueError: The parameters cannot work: several tasks a job, an unknown partition, too little time.
    """

    folder: str = "data/local/.slurm/%j"
    cluster: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    poll: float = 5.0
    requeues: int = 100
    retries: int = 1
    outage: float = 600.0

    def __post_init__(self) -> None:
        check_count("requeues", self.requeues, at_least=0)
        check_count("retries", self.retries, at_least=0)
        check_tasks(self.parameters)

    def run(self, template: Experiment, jobs: Sequence[Job], on_end: OnEnd) -> None:
        """Submit `jobs`, but for those that are on the cluster already, and wait for all of them."""
        submitit = require("submitit", "slurm", "the Slurm launcher")
        executor = submitit.AutoExecutor(
            folder=self.folder, cluster=self.cluster, slurm_max_num_timeout=max(self.requeues, 1)
        )
        local = executor.cluster != "slurm"
        executor.update_parameters(**(self.parameters if local else with_defaults(self.parameters)))
        queue = LocalQueue() if local else SlurmQueue(submitit.core.utils.JobPaths, self.folder)
        calls = [SlurmJob(pack_job(template, job), self.requeues) for job in jobs]
        submit = _submitter(executor, calls, local=local)
        at_once = len(jobs)
        if not local:
            check_limits(self.parameters, slurm_commands.partition_limits())
            at_once = int(slurm_commands.read_configuration().get("MaxArraySize", "1001"))
        with StopRequest() as stop:
            watch = Watch(jobs, queue, submit, on_end, retries=self.retries, outage=self.outage)
            watch.start(at_once)
            watch.wait(stop, self.poll)


def _submitter(
    executor: Any, calls: Sequence[SlurmJob], *, local: bool
) -> Callable[[Sequence[int]], list[Submitted]]:
    """Return a function that submits the jobs of some indices, as one array."""

    def submit(indices: Sequence[int]) -> list[Submitted]:
        with executor.batch():
            submitted = [executor.submit(calls[index]) for index in indices]
        return [
            Submitted(str(job.job_id), job.paths.result_pickle, job if local else None) for job in submitted
        ]

    return submit


def with_defaults(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of submitit, completed by ours; a default time limit is said."""
    chosen = dict(parameters)
    if "timeout_min" not in chosen and "slurm_time" not in chosen:
        notify(
            f"each job may run for {_TIMEOUT_MIN} minutes at a time, then continues in a new one; "
            f"parameters={{'timeout_min': ...}} sets another limit"
        )
        chosen["timeout_min"] = _TIMEOUT_MIN
    limit = _limit_of(chosen)
    if limit is not None:
        chosen.setdefault("slurm_signal_delay_s", min(_WARNING_S, int(limit * 15)))
    additional: Mapping[str, Any] = chosen.get("slurm_additional_parameters") or {}
    chosen["slurm_additional_parameters"] = {"requeue": True, **additional}
    return chosen


def check_tasks(parameters: Mapping[str, Any]) -> None:
    """Refuse parameters that would start the same run several times over.

    Raises:
        ValueError: They ask for several tasks a job.
    """
    for name in ("tasks_per_node", "slurm_ntasks_per_node", "nodes", "slurm_nodes"):
        count = parameters.get(name, 1)
        if count != 1 and ("nodes" not in name or parameters.get("slurm_use_srun", True)):
            raise ValueError(
                f"{name} is {count!r}; it must be 1: each task of a job would start the same run; a run that wants "
                "several processes starts them itself, with cpus_per_task and gpus_per_node for all of them"
            )


def check_limits(parameters: Mapping[str, Any], partitions: Mapping[str, float]) -> None:
    """Refuse what would wait in the queue for ever, or be stopped as soon as it runs.

    Raises:
        ValueError: A partition is not known, or the time limit is above its own or below the warning's time.
    """
    named = str(parameters.get("slurm_partition") or "")
    unknown = [name for name in named.split(",") if name and name not in partitions]
    if unknown:
        raise ValueError(
            f"slurm_partition {unknown[0]!r} is not known; this cluster has {', '.join(partitions)}"
        )
    limit = _limit_of(parameters)
    if limit is None:
        return
    longest = max((partitions[name] for name in named.split(",") if name), default=float("inf"))
    if limit > longest:
        raise ValueError(f"timeout_min is {limit:g}, and partition {named} allows {longest:g} minutes")
    warning = parameters.get("slurm_signal_delay_s", 0)
    if limit < 1 or limit * 60 <= warning:
        raise ValueError(
            f"timeout_min should leave time before the request to stop, {warning} s before its end, not {limit:g} minutes"
        )


def _limit_of(parameters: Mapping[str, Any]) -> float | None:
    """Return the time limit in minutes; None where Slurm's own form is used (``2-00:00``)."""
    given = parameters.get("slurm_time", parameters.get("timeout_min", _TIMEOUT_MIN))
    return float(given) if isinstance(given, int | float) else None
