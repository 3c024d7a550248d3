"""The jobs of a sweep on a cluster, from their submission to their ends."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from rlx_experiment._runs.signals import StopRequest
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.jobs import FAILED, FINISHED, STOPPED, Job, OnEnd, may_be_tried_again
from rlx_experiment._sweeps.slurm_commands import SlurmUnavailableError
from rlx_experiment._sweeps.slurm_queue import Queue, Submitted
from rlx_experiment._terminal import notify

_LOOKS: Final = 2
"""How often a job must be missing in the queue: its result may reach a shared file system after its end."""
_CODES: Final = {"finished": FINISHED, "failed": FAILED}
_CANCELLING_S: Final = 90.0
"""How long cancelled jobs are waited for: Slurm's KillWait is 30 s by default."""


class Watch:
    """Waits for jobs, submits again those that died, and cancels all at a request to stop.

    Args:
        jobs: The jobs of the sweep.
        queue: Where they wait and run.
        submit: Submits the jobs of some indices as one array.
        on_end: Told of each job that has ended for good.
        retries: How often a job that died is submitted again.
        outage: Seconds for which a queue that does not answer is waited for.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        queue: Queue,
        submit: Callable[[Sequence[int]], list[Submitted]],
        on_end: OnEnd,
        *,
        retries: int,
        outage: float,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._submit = submit
        self._on_end = on_end
        self._retries = retries
        self._outage = outage
        self._silent_since: float | None = None
        self._waiting: dict[int, Submitted] = {}
        self._missing = [0] * len(jobs)
        self._tries = [0] * len(jobs)

    def start(self, at_once: int) -> None:
        """Join the jobs that an earlier sweep left in the queue, and submit the others, `at_once` an array."""
        earlier = {index: self._queue.recorded(job.folder) for index, job in enumerate(self._jobs)}
        known = {index: job for index, job in earlier.items() if job is not None}
        live = self._queue.live(known.values()) if known else set[str]()
        self._waiting = {index: job for index, job in known.items() if job.job_id in live}
        if self._waiting:
            notify(f"{len(self._waiting)} of {len(self._jobs)} jobs are on the cluster already")
        for index in self._waiting:
            self._tries[index] = 1
        new = [index for index in range(len(self._jobs)) if index not in self._waiting]
        for first in range(0, len(new), at_once):
            self._send(new[first : first + at_once])

    def _send(self, indices: Sequence[int]) -> None:
        for index, job in zip(indices, self._submit(indices), strict=True):
            self._waiting[index] = job
            self._missing[index] = 0
            self._tries[index] += 1
            self._queue.record(self._jobs[index].folder, job)

    def wait(self, stop: StopRequest, poll: float) -> None:
        """Return when all jobs have ended, or, after a request to stop, when they are cancelled.

        Raises:
            SlurmUnavailableError: The queue has not answered for too long; the jobs are left to it.
        """
        next_look = 0.0
        while self._waiting and not stop.requested:
            if time.monotonic() >= next_look:
                self._look()
                next_look = time.monotonic() + poll
            else:
                time.sleep(min(0.2, poll))
        if self._waiting:
            self._cancel(poll)

    def _look(self) -> None:
        """See which jobs have ended, and submit those again that died."""
        self._take_results()
        live = self._live()
        if live is None:
            return
        gone = [index for index, job in self._waiting.items() if job.job_id not in live]
        for index in gone:
            self._missing[index] += 1
        died = [index for index in gone if self._missing[index] >= _LOOKS and not self._settle(index)]
        if died:
            self._send(died)

    def _take_results(self) -> None:
        for index, job in list(self._waiting.items()):
            code = job.exit_code()
            if code is not None:
                self._end(index, code)

    def _live(self) -> set[str] | None:
        """Return the ids in the queue; None if it does not answer now."""
        try:
            live = self._queue.live(self._waiting.values())
        except SlurmUnavailableError as error:
            now = time.monotonic()
            if self._silent_since is None:
                self._silent_since = now
                notify(f"the scheduler does not answer ({error}); waiting for it, {self._outage:g} s at most")
            if now - self._silent_since > self._outage:
                raise SlurmUnavailableError(
                    f"{error}; the scheduler has not answered for {self._outage:g} s. {len(self._waiting)} jobs are "
                    "left to it: the same sweep, launched again, joins them"
                ) from error
            return None
        if self._silent_since is not None:
            self._silent_since = None
            notify("the scheduler answers again")
        return live

    def _settle(self, index: int) -> bool:
        """End a job that is gone from the queue without a result by what its run recorded; False to submit it again."""
        job = self._waiting[index]
        state = _recorded_state(self._jobs[index])
        code = job.exit_code()
        if code is None:
            code = _CODES.get(state)
        if code is None and self._was_cancelled(job):
            if not state:
                del self._waiting[index]  # it never began: it is still to go
                return True
            code = STOPPED
        if code is None and self._tries[index] <= self._retries:
            return False
        if code is None:
            code = STOPPED if state == "stopped" else FAILED
        self._end(index, code)
        return True

    def _was_cancelled(self, job: Submitted) -> bool:
        try:
            return self._queue.was_cancelled(job)
        except SlurmUnavailableError:
            return False

    def _end(self, index: int, code: int) -> None:
        retry = may_be_tried_again(code) and self._tries[index] <= self._retries
        if retry:
            self._send([index])
        else:
            del self._waiting[index]
            self._on_end(index, code, self._tries[index])

    def _cancel(self, poll: float) -> None:
        """Cancel all jobs and wait for their ends, which Slurm forces after a while."""
        until = time.monotonic() + _CANCELLING_S
        try:
            self._queue.cancel(self._waiting.values())
            while self._queue.live(self._waiting.values()) and time.monotonic() < until:
                time.sleep(poll)
        except SlurmUnavailableError as error:
            notify(f"the jobs could not be cancelled, or were not seen to end: {error}")
        for index, job in self._waiting.items():
            state = _recorded_state(self._jobs[index])
            code = job.exit_code()
            if state:
                ended = _CODES.get(state, STOPPED)
                self._on_end(index, ended if code is None else code, self._tries[index])


def _recorded_state(job: Job) -> str:
    """Return the state of a job's run; '' if it never began."""
    try:
        return read_status(job.folder).state
    except (FileNotFoundError, ValueError):
        return ""
