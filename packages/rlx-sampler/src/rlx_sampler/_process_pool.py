"""The worker processes of one sampler, kept at full strength."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from rlx_sampler._errors import WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._messages import Failure, Kind, Live, NewLayout, Ready, UseRows, receive
from rlx_sampler._process import WorkerProcess
from rlx_sampler._readiness import ready
from rlx_sampler._round import Round, rebuilt

MAX_DEATHS: Final = 3
LONGEST_WAIT: Final = 1.0


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
        self._deaths = 0
        self._next_check = 0.0
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
        """Send one message each."""
        for process, message in zip(self.processes, messages, strict=True):
            process.send(message, self._timeout)

    def use_inference_rows(self, inference_rows: int) -> None:
        """Let all workers call the policy with so many rows."""
        self.profile = replace(self.profile, inference_rows=inference_rows)
        self.send_all([UseRows(inference_rows)] * len(self.processes))

    def wait(self, current: Round | None) -> None:
        """Take what the workers say, and notice those that are dead or stuck.

        Raises:
            EpisodeError: If an episode that is needed raised.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """
        handles = [h for p in self.processes for h in (p.connection, p.sentinel)]
        speaking = ready(handles, min(LONGEST_WAIT, self._timeout))
        for process in list(self.processes):
            try:
                if process.connection in speaking:
                    self._read_all(process, current)
                elif process.sentinel in speaking:
                    self._replace(process, current)
            except (EOFError, ConnectionResetError, BrokenPipeError):
                self._replace(process, current)
        if time.monotonic() > self._next_check:
            self._next_check = time.monotonic() + LONGEST_WAIT
            self._check_life(current)

    def _read_all(self, process: WorkerProcess, current: Round | None) -> None:
        process.saw_life()
        while True:
            message = receive(process.connection)
            if current is None or not current.take(process, message):
                self._read(process, message, current)
            if not ready([process.connection]):
                return

    def _read(self, process: WorkerProcess, message: Any, current: Round | None) -> None:
        match message:
            case NewLayout():
                process.arena.layouts[message.number] = message.layout
            case Live():
                process.live = message.states
            case Ready():
                self._welcome(process, message.profile)
                if current is not None:
                    current.start(process)
            case Failure(call=None):
                raise WorkerError(
                    f"worker {process.number} raised {message.text}.\n\n"
                    f"In the worker:\n{message.remote_traceback}"
                ) from rebuilt(message)
            case _:
                process.saw_life()  # it is about a call that is over

    def _welcome(self, process: WorkerProcess, profile: WorkerProfile) -> None:
        process.is_ready, process.n_lanes = True, profile.n_lanes
        rows = self.profile.inference_rows
        self.profile = profile if rows is None else replace(profile, inference_rows=rows)
        if rows is not None and profile.inference_rows != rows:
            process.send(UseRows(rows), self._timeout)
        self._greet(process)

    def _replace(self, process: WorkerProcess, current: Round | None) -> None:
        """Start another process in the place of a dead one; its episodes go to whoever asks first."""
        exit_code = process.exit_code
        self._deaths = 1 + (self._deaths if current is None else current.deaths)
        if self._deaths >= MAX_DEATHS:
            raise WorkerError(
                f"worker {process.number} died (exit code {exit_code}; -9 is a kill, by the system if memory is "
                f"short), the {self._deaths}th without an episode in between. It had episodes "
                f"{sorted(process.out)}: replay() of the sampler runs one in this process."
            )
        self.has_lost = self.has_lost or (process.is_ready and self.profile.steps_per_key is not None)
        if current is not None:
            current.deaths = self._deaths
            current.ledger.give_back(process.out)
        process.close()
        self.processes[process.number] = self._start(process.number)

    def _check_life(self, current: Round | None) -> None:
        """Replace workers that are stuck in something old; say which episodes others are stuck in."""
        stuck = [process for process in self.processes if process.is_stuck(self._timeout)]
        for process in stuck:
            process.kill()
        at_work = [process for process in stuck if process.has_begun]
        for process in stuck:
            if process not in at_work:
                self._replace(process, current)
        if at_work and current is not None:
            raise WorkerError(
                f"worker {at_work[0].number} took no step for {self._timeout:g} s in episodes "
                f"{sorted(at_work[0].out)} of call {current.call.call}, and was ended. Pass a larger "
                f"worker_timeout if that is how long a step can take; replay() of the sampler runs an "
                f"episode in this process."
            )

    def shutdown(self) -> None:
        """End all processes. Calling it twice is allowed."""
        processes, self.processes = self.processes, []
        for process in processes:
            process.send_numbers(Kind.EXIT)
        for process in processes:
            process.end()
