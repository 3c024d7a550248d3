"""A job of a sweep on a node of Slurm: it runs, and is queued again until its run has finished."""

import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from rlx_experiment._missing import require
from rlx_experiment._runs.signals import request_stop
from rlx_experiment._sweeps import slurm_commands
from rlx_experiment._sweeps.jobs import LIVE, STOPPED, run_anywhere
from rlx_experiment._sweeps.slurm_commands import SlurmUnavailableError
from rlx_experiment._terminal import notify

_LAST_MOMENT: Final = 15.0
"""Seconds before its time limit at which a job that has not stopped is queued again all the same."""


_FORMER_LIFE: Final = 120.0
"""Seconds for which a job that was queued again waits for the process of its former life to end."""
_POLL: Final = 2.0


class SlurmJob:
    """One job as submitit takes it.

    A run that stopped because its time is up is queued again once it has saved; one that does not stop in time, at the
    last moment before the limit, to continue from its last snapshot. Slurm itself queues preempted jobs again.

    Args:
        packed: The job, from ``pack_job``.
        requeues: How often the job may be queued again; Slurm counts its own times, too.
    """

    def __init__(self, packed: bytes, requeues: int) -> None:
        self._packed = packed
        self._requeues = requeues

    def __call__(self) -> int:
        """Run the job and return its exit code; leave without one if the job is queued again."""
        life = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        job_id = os.environ.get("SLURM_JOB_ID", "") if os.environ.get("SUBMITIT_EXECUTOR") == "slurm" else ""
        if not job_id:
            return run_anywhere(self._packed)
        may_requeue = life < self._requeues
        with _requeued_at_the_limit(job_id if may_requeue else ""):
            code = _run_after_former_life(self._packed) if life else run_anywhere(self._packed)
        if code == STOPPED and _is_queued_again(job_id, life, may_requeue=may_requeue):
            raise SystemExit(0)  # without the result that would say that the job has ended
        return code

    def checkpoint(self) -> Any:
        """Return what submitit queues again if the signal comes before the run has begun."""
        request_stop()
        return require("submitit", "slurm", "a Slurm job").helpers.DelayedSubmission(self)


def _run_after_former_life(packed: bytes) -> int:
    """Run a job that was started before, once the process of its former life has ended: a lost node may end it late."""
    deadline = time.monotonic() + _FORMER_LIFE
    while (code := run_anywhere(packed)) == LIVE and time.monotonic() < deadline:
        time.sleep(_POLL)
    return code


def _is_queued_again(job_id: str, life: int, *, may_requeue: bool) -> bool:
    """Return whether a job whose run stopped is, or now has been, queued again."""
    try:
        job = slurm_commands.describe_job(job_id)
        if int(job.get("Restarts", "0")) > life:
            return True  # preempted: Slurm did it
        if job.get("JobState") != "RUNNING" or not may_requeue:
            return False  # cancelled
        slurm_commands.requeue(job_id)
    except SlurmUnavailableError as error:
        notify(f"the job is not queued again: {error}")
        return False
    return True


@contextmanager
def _requeued_at_the_limit(job_id: str) -> Generator[None, None, None]:
    """Queue the job again shortly before its time limit, if the block has not ended by then; '' for never."""
    left = _seconds_left(job_id) if job_id else None
    if left is None:
        yield
        return
    timer = threading.Timer(max(left - _LAST_MOMENT, 0.0), _requeue_unstopped, (job_id,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _seconds_left(job_id: str) -> float | None:
    try:
        return slurm_commands.seconds_left(slurm_commands.describe_job(job_id))
    except SlurmUnavailableError as error:
        notify(f"the time limit of the job is not known: {error}")
        return None


def _requeue_unstopped(job_id: str) -> None:
    notify("the time limit is near and the run has not stopped: the job is queued again")
    try:
        slurm_commands.requeue(job_id)
    except SlurmUnavailableError as error:
        notify(f"the job is not queued again: {error}")
