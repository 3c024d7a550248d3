"""The worker processes of one sampler, kept at full strength."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Thread
from typing import Any, Final

from rlx_sampler._errors import WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._processes.episode_transfer import read_pickled
from rlx_sampler._processes.messages import (
    Kind,
    Live,
    NewLayout,
    PickledChunk,
    PresentProfile,
    Ready,
    UseRows,
    receive,
)
from rlx_sampler._processes.process import WorkerProcess
from rlx_sampler._processes.readiness import ready
from rlx_sampler._remote.coordinator import LONGEST_WAIT, Coordinator
from rlx_sampler._remote.failures import Failure

SHORT_WAIT: Final = 0.01
"""Seconds between two looks at whether a large message has been read."""


class ProcessPool(Coordinator[WorkerProcess]):
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
        super().__init__(timeout)
        self._start_process = start
        self._greet = greet
        self.pickled_episodes = 0
        """Episodes that held something shared memory cannot, and came pickled."""
        try:
            self.workers.extend(start(number) for number in range(n_workers))
            while not all(process.is_ready for process in self.workers):
                self.wait()
        except BaseException:
            self.shutdown()
            raise

    def send_all(self, messages: Sequence[object]) -> None:
        """Send one message each, and listen meanwhile: who is not listened to may not read either.

        Raises:
            WorkerError: If one is not read in time; its worker is ended.
        """
        processes = list(self.workers)
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
            self.wait(SHORT_WAIT)
            if time.monotonic() > begin + self.timeout:
                raise WorkerError(
                    f"worker {worker} did not read a message for {self.timeout:g} s and was ended."
                )

    def use_inference_rows(self, inference_rows: int) -> None:
        """Let all workers call the policy with so many rows."""
        self.profile = replace(self.profile, inference_rows=inference_rows)
        self.send_all([UseRows(inference_rows)] * len(self.workers))

    def wait(self, longest: float = LONGEST_WAIT) -> None:
        """See `Coordinator`."""
        handles = [h for p in self.workers for h in (p.connection, p.sentinel)]
        speaking = ready(handles, min(longest, self.timeout))
        for process in list(self.workers):
            if process.connection in speaking:
                self._read(process)
            elif process.sentinel in speaking:
                self._replace(process)
        self._check_life()

    def _start(self, number: int) -> WorkerProcess:
        return self._start_process(number)

    def _read(self, process: WorkerProcess) -> None:
        process.heartbeat.renew()
        try:
            message = receive(process.connection)
        except (EOFError, OSError):  # it died, perhaps in the middle of a message
            self._replace(process)
            return
        except BaseException:
            process.kill()  # the rest of a message that is half read would be taken for the next one
            raise
        if not self._is_of_the_round(process, message):
            self._understand(process, message)

    def _is_of_the_round(self, process: WorkerProcess, message: Any) -> bool:
        """Take a message that belongs to the present round; return whether it did."""
        match message:
            case (Kind.CHUNK, [self.round_number, *numbers]):
                self._take(process, process.episodes.read(numbers))
            case (Kind.MORE, [self.round_number]):
                process.wants_more = True
            case PickledChunk(round_number=self.round_number):
                chunk = read_pickled(message)
                self.pickled_episodes += len(chunk.indices)
                self._take(process, chunk)
            case Failure(round_number=None | self.round_number):
                self._fail(process, message)
            case _:
                return False
        return True

    def _understand(self, process: WorkerProcess, message: Any) -> None:
        match message:
            case NewLayout():
                process.episodes.layouts[message.number] = message.layout
            case Live():
                process.live = message.states
            case PresentProfile():
                process.present_profile = message.profile
            case Ready():
                self._welcome(process, message.profile)
            case _:
                process.heartbeat.renew()  # it is about a call that is over

    def _welcome(self, process: WorkerProcess, profile: WorkerProfile) -> None:
        process.is_ready = True
        process.begin_round()
        rows = self.profile.inference_rows
        self.profile = profile if rows is None else replace(profile, inference_rows=rows)
        if rows is not None and profile.inference_rows != rows:
            process.send(UseRows(rows))
        self._greet(process)

    def shutdown(self) -> None:
        """End all processes. Calling it twice is allowed."""
        processes, self.workers = self.workers, []
        for process in processes:
            process.send_numbers(Kind.EXIT)
        for process in processes:
            process.end()
