"""The worker processes of one sampler, kept at full strength."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread
from typing import Any, Final

from rlx_sampler._errors import WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._processes.messages import (
    Kind,
    Live,
    NewLayout,
    PresentProfile,
    Ready,
    UseRows,
    receive,
)
from rlx_sampler._processes.process import WorkerProcess
from rlx_sampler._processes.readiness import ready
from rlx_sampler._processes.round import Round
from rlx_sampler._remote.failures import Failure, raised_by
from rlx_sampler._remote.supervision import LONGEST_WAIT, Patience

SHORT_WAIT: Final = 0.01
"""Seconds between two looks at whether a large message has been read."""


class ProcessPool:
    """Listens to worker processes, and replaces those that die.

    Args:
        n_workers: Number of processes.
        start: Starts process number i, for the first time or again.
        greet: Called with a process that is ready, before it gets work.
        timeout: Seconds without a sign of life after which a process counts as stuck.

    Raises:
        WorkerError: If a worker cannot be built.
    """

    def __init__(
        self,
        n_workers: int,
        start: Callable[[int], WorkerProcess],
        greet: Callable[[WorkerProcess], object],
        timeout: float,
    ) -> None:
        self._start = start
        self._greet = greet
        self._timeout = timeout
        self.patience = Patience(timeout)
        """What is counted of those that die."""
        self.profile = WorkerProfile()
        """What is known of the workers."""
        self.has_lost = False
        """Whether live environments died with a worker."""
        self.processes: list[WorkerProcess] = []
        try:
            self.processes.extend(start(number) for number in range(n_workers))
            while not all(process.is_ready for process in self.processes):
                self.wait(None)
        except BaseException:
            self.shutdown()
            raise

    def send_all(self, messages: Sequence[object]) -> None:
        """Send one message each, and listen meanwhile: who is not listened to may not read either.

        Raises:
            WorkerError: If one is not read in time; its worker is ended.
        """
        processes = list(self.processes)
        sendings = [process.send(message) for process, message in zip(processes, messages, strict=True)]
        try:
            for process, sending in zip(processes, sendings, strict=True):
                if sending is not None:
                    self._listen_during(sending, process.number)
        finally:
            for process, sending in zip(processes, sendings, strict=True):
                if sending is not None and sending.is_alive():
                    process.kill()  # it could not tell the rest of this message from the next one

    def _listen_during(self, sending: Thread, worker: int) -> None:
        begin = time.monotonic()
        sending.join(SHORT_WAIT)
        while sending.is_alive():
            self.wait(None, SHORT_WAIT)
            if time.monotonic() > begin + self._timeout:
                raise WorkerError(
                    f"worker {worker} did not read a message for {self._timeout:g} s and was ended."
                )

    def use_inference_rows(self, inference_rows: int) -> None:
        """Let all workers call the policy with so many rows."""
        self.profile = replace(self.profile, inference_rows=inference_rows)
        self.send_all([UseRows(inference_rows)] * len(self.processes))

    def wait(self, current: Round | None, longest: float = LONGEST_WAIT) -> None:
        """Take what the workers say, and notice those that are dead or stuck.

        Raises:
            EpisodeError: If an episode that is needed raised.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """
        handles = [h for p in self.processes for h in (p.connection, p.sentinel)]
        speaking = ready(handles, min(longest, self._timeout))
        for process in list(self.processes):
            if process.connection in speaking:
                self._read(process, current)
            elif process.sentinel in speaking:
                self._replace(process, current)
        if self.patience.is_time_to_look():
            self._check_life(current)

    def _read(self, process: WorkerProcess, current: Round | None) -> None:
        process.signs.renew()
        try:
            message = receive(process.connection)
        except (EOFError, OSError):  # it died, perhaps in the middle of a message
            self._replace(process, current)
            return
        except BaseException:
            process.kill()  # the rest of a message that is half read would be taken for the next one
            raise
        if current is None or not current.take(process, message):
            self._understand(process, message, current)

    def _understand(self, process: WorkerProcess, message: Any, current: Round | None) -> None:
        match message:
            case NewLayout():
                process.arena.layouts[message.number] = message.layout
            case Live():
                process.live = message.states
            case PresentProfile():
                process.present_profile = message.profile
            case Ready():
                self._welcome(process, message.profile)
                if current is not None:
                    current.start(process)
            case Failure(round_number=None):
                raise raised_by(process.number, message)
            case _:
                process.signs.renew()  # it is about a call that is over

    def _welcome(self, process: WorkerProcess, profile: WorkerProfile) -> None:
        process.is_ready, process.n_lanes = True, profile.n_lanes
        rows = self.profile.inference_rows
        self.profile = profile if rows is None else replace(profile, inference_rows=rows)
        if rows is not None and profile.inference_rows != rows:
            process.send(UseRows(rows))
        self._greet(process)

    def _replace(self, process: WorkerProcess, current: Round | None) -> None:
        """Start another process in the place of a dead one; its episodes go to whoever asks first."""
        how = f" (exit code {process.exit_code}; -9 is a kill, by the system if memory is short)"
        self.patience.note_death(process.number, process.out, how=how)
        self.has_lost = self.has_lost or (process.is_ready and self.profile.steps_per_key is not None)
        if current is not None:
            current.ledger.give_back(process.out)
        successor = self._start(process.number)  # where there is no memory for it, the dead one is met again
        process.close()
        self.processes[process.number] = successor

    def _check_life(self, current: Round | None) -> None:
        """Replace workers that are stuck in something old; say which episodes others are stuck in."""
        stuck = [process for process in self.processes if process.is_stuck(self._timeout)]
        for process in stuck:
            process.kill()
        at_work = [process for process in stuck if process.signs.has_begun]
        for process in stuck:
            if process not in at_work:
                self._replace(process, current)
        if at_work and current is not None:
            raise self.patience.stuck(at_work[0].number, at_work[0].out, current.call.call)

    def shutdown(self) -> None:
        """End all processes. Calling it twice is allowed."""
        processes, self.processes = self.processes, []
        for process in processes:
            process.send_numbers(Kind.EXIT)
        for process in processes:
            process.end()
