"""One worker process, seen from the sampler."""

import multiprocessing
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from typing import Any, Final

from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey
from rlx_sampler._processes.episode_transfer import EpisodeReader
from rlx_sampler._processes.messages import Kind, StartCall, encoded, send_numbers
from rlx_sampler._processes.shared_memory import SharedMemory
from rlx_sampler._processes.worker_process import ENDING_SIGNALS, Assignment, serve
from rlx_sampler._remote.worker import RemoteWorker

SECONDS_TO_END: Final = 3.0
SMALL: Final = 1 << 14
"""Bytes that fit in the pipe of a worker that does not read for a while."""
PRELOADED: Final = ("numpy", "torch", "gymnasium")
_one_start_at_a_time: Final = threading.Lock()
"""The main module, which a start hides for a moment, is the whole process's: so is this lock."""


class WorkerProcess(RemoteWorker):
    """A worker process and what it has been given to do."""

    def __init__(self, assignment: Assignment) -> None:
        """Start the process; it says by itself when it is ready."""
        super().__init__(assignment.number)
        memory = None if assignment.parameters is None else SharedMemory()
        context: Any = multiprocessing.get_context(start_method())
        self.episodes = EpisodeReader(memory)
        self.connection, theirs = context.Pipe()
        with _one_start_at_a_time, _without_main_module(), _signals_held():
            self._process = context.Process(
                target=serve,
                args=(theirs, replace(assignment, episodes=memory)),
                name=f"rlx-sampler-{self.number}",
                daemon=True,
            )
            self._process.start()
        theirs.close()
        self._round_number: int | None = None
        """The call that the process was last told of."""
        self.live: list[bytes] | None = None
        """Live environments that the worker has sent."""
        self.present_profile: WorkerProfile | None = None
        """What it answered when it was last asked."""
        self.lacks_parameters = False
        """Whether it has yet to take the parameters in the shared block."""

    @property
    def sentinel(self) -> int:
        """What becomes ready when the process ends."""
        return int(self._process.sentinel)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return int(self._process.pid or 0)

    def how_it_ended(self) -> str:
        """Return how the process ended, as `multiprocessing` says it."""
        self._process.join(SECONDS_TO_END)
        return f"exit code {self._process.exitcode}; -9 is a kill, by the system if memory is short"

    def steps_taken(self) -> int:
        """Return how many steps there were; always 0 without shared memory, where messages say it."""
        return self.episodes.steps_taken()

    def submit(self, round_number: int, call: CallKey, indices: list[int]) -> None:
        """Let the process run episodes, and tell it of the call first if it does not know of it."""
        if round_number == self._round_number:
            self.send_numbers(Kind.LEASE, indices)
            return
        self._round_number = round_number
        self.send(StartCall(round_number, call, indices, self.lacks_parameters))
        self.lacks_parameters = False

    def stop(self, round_number: int) -> None:
        """Let the process drop what it still has of the present call."""
        self.send_numbers(Kind.STOP)

    def send(self, message: object) -> threading.Thread | None:
        """Send a message, unless the process is dead; return the thread that sends a large one."""
        data = encoded(message)
        if len(data) <= SMALL:
            self._send(data)
            return None
        sending = threading.Thread(target=self._send, args=(data,), daemon=True)
        sending.start()
        return sending

    def _send(self, data: bytes) -> None:
        with suppress(OSError):
            self.connection.send_bytes(data)

    def send_numbers(self, kind: Kind, numbers: Sequence[int] = ()) -> None:
        """Send a small message, unless the process is dead."""
        with suppress(OSError):
            send_numbers(self.connection, kind, numbers)

    def end(self) -> None:
        """Ask the process to end and make it if it does not."""
        self.send_numbers(Kind.EXIT)
        self._process.join(SECONDS_TO_END)
        self.close()

    def kill(self) -> None:
        """End the process at once."""
        if self._process.is_alive():
            self._process.kill()
            self._process.join(SECONDS_TO_END)

    def close(self) -> None:
        """End the process at once and give back what belongs to it."""
        self.kill()
        self.connection.close()


def start_method() -> str:
    """Return how processes are started: from a clean server on Linux, anew elsewhere.

    The server has the heavy libraries loaded, so that a worker is there within
    milliseconds; it is the process's own and shared by all its samplers.
    """
    if sys.platform != "linux":
        return "spawn"
    loaded = [name for name in PRELOADED if name in sys.modules]
    multiprocessing.set_forkserver_preload(["rlx_sampler._processes.worker_process", *loaded])
    return "forkserver"


@contextmanager
def _signals_held() -> Generator[None]:
    """Hold the signals that ask for an end back while a process starts.

    The server that it comes from inherits this for good: a signal to the whole group, as
    terminals and clusters send it, must not end what all later workers come from.
    """
    if sys.platform != "linux":
        yield
        return
    resource_tracker.ensure_running()  # its start lets all signals through, and the server's start needs it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _without_main_module() -> Generator[None]:
    """Keep a starting process from importing the main script.

    Policies and environments travel by value, so the script is not needed there: it
    needs no ``if __name__ == "__main__"``, and the workers do not pay for its imports.
    """
    main = sys.modules["__main__"]
    hidden = {name: vars(main)[name] for name in ("__file__", "__spec__") if name in vars(main)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
