"""What runs in a worker process."""

import contextlib
import os
import signal
import sys
import threading
from collections import deque
from dataclasses import dataclass
from multiprocessing import connection as waiting
from multiprocessing import parent_process
from types import FrameType
from typing import Any, Final

from rlx_sampler._copies import unpacked
from rlx_sampler._engine import build_worker
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._processes.episode_transfer import EpisodeWriter
from rlx_sampler._processes.messages import (
    AskProfile,
    Change,
    Kind,
    Live,
    ParameterLayout,
    Pipe,
    PresentProfile,
    Ready,
    SaveLive,
    StartCall,
    UseRows,
    receive,
    send_numbers,
    send_object,
)
from rlx_sampler._processes.parameters import read_parameters
from rlx_sampler._processes.readiness import ready
from rlx_sampler._processes.shared_memory import SharedMemory
from rlx_sampler._remote.failures import describe
from rlx_sampler._workers.worker import Worker

STEPS_BETWEEN_LOOKS: Final = 8
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Everything a worker process is started with."""

    number: int
    packed_setup: bytes
    """The worker factory and the setup, packed."""
    probe: EpisodeKey
    inference_rows: int | None
    episodes: SharedMemory | None
    parameters: SharedMemory | None


def serve(connection: Pipe, assignment: Assignment) -> None:
    """Build a worker and run what the sampler asks for, until it says so or is gone."""
    ending = _Ending()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _serve(connection, assignment, ending)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the sampler is gone
    except Exception as error:  # noqa: BLE001 - it is raised again in the sampler
        with contextlib.suppress(OSError):
            send_object(connection, describe(None, error))


class _Ending:
    """What a signal that asks for an end means here; nothing is held back from what an environment starts.

    Ctrl-C is for the sampler. SIGTERM ends this process, which the sampler then replaces,
    but not before it is ready: that would look as if it could never be.
    """

    def __init__(self) -> None:
        self._asked = False
        signal.signal(signal.SIGINT, _disregard)
        signal.signal(signal.SIGTERM, self._ask)
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def allow(self) -> None:
        """Let SIGTERM end this process from now on, and now if it has come."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._asked:
            signal.raise_signal(signal.SIGTERM)


def _disregard(_number: int, _frame: FrameType | None) -> None:
    pass


def _end_with_parent() -> None:
    """End this process, whatever it is doing, when the process of the sampler ends."""
    parent = parent_process()
    if parent is not None:
        waiting.wait([parent.sentinel])
        os._exit(1)


def _serve(connection: Pipe, assignment: Assignment, ending: _Ending) -> None:
    factory, setup = unpacked(assignment.packed_setup)
    worker = build_worker(factory, setup, assignment.number)
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    try:
        worker.use_inference_rows(assignment.inference_rows)
        worker.prepare(assignment.probe)
        send_object(connection, Ready(worker.profile()))
        ending.allow()
        _Service(connection, worker, assignment).run()
    finally:
        worker.shutdown()


class _Service:
    """One worker's conversation with its sampler; also the lease that the worker runs by."""

    def __init__(self, connection: Pipe, worker: Worker, assignment: Assignment) -> None:
        self._connection = connection
        self._worker = worker
        self._writer = EpisodeWriter(connection, assignment.episodes)
        self._parameters = assignment.parameters
        self._parameter_layout: ParameterLayout | None = None
        self._call: CallKey | None = None
        self._round_number = 0
        self._queue: deque[int] = deque()
        self._leased: set[int] = set()
        """Indices that came since the call began, or since an episode broke: none is run twice."""
        self._has_asked = False
        self._is_over = True
        self._exits = False
        self._steps = 0
        self._pending: StartCall | None = None

    def run(self) -> None:
        """Run calls until told to end."""
        while not self._exits:
            self._begin(self._pending)
            if self._call is not None and self._queue:
                self._run_episodes()
            if self._pending is None and not self._exits:
                self._ask_for_more()
                self._take(receive(self._connection))

    def _run_episodes(self) -> None:
        try:
            for chunk in self._worker.run(self):
                if not self._is_over:
                    self._writer.publish(self._round_number, chunk)
        except EpisodeError as error:
            self._drop_lease()  # the sampler gives everything it sent out anew
            if not self._is_over:
                send_object(self._connection, describe(self._round_number, error))

    def take_all(self) -> None:
        """Take no whole call: other workers have a part in it."""

    def next_range(self, count: int) -> None:
        """Take no several episodes at once."""

    def next_key(self) -> EpisodeKey | None:
        """Return the key of the next episode to run, or None while there is none."""
        if not self._queue:
            self._look()
        if self._queue and self._call is not None and not self._is_over:
            index = self._queue.popleft()
            if not self._queue:
                self._ask_for_more()  # so that the answer is here when the episode ends
            return self._call.episode(index)
        self._ask_for_more()
        return None

    def is_over(self) -> bool:
        """Whether what is under way is not wanted any more."""
        self._writer.show_life()
        self._steps += 1
        if self._steps % STEPS_BETWEEN_LOOKS == 0:
            self._look()
        return self._is_over

    def _ask_for_more(self) -> None:
        if self._call is not None and not self._has_asked and not self._is_over:
            self._has_asked = True
            send_numbers(self._connection, Kind.MORE, [self._round_number])

    def _look(self) -> None:
        while self._pending is None and ready([self._connection]):
            self._take(receive(self._connection))

    def _take(self, message: Any) -> None:
        match message:
            case (Kind.LEASE, indices):
                self._lease(indices)
                self._has_asked = False
            case (Kind.STOP | Kind.EXIT as kind, _):
                self._stop()
                self._exits = kind is Kind.EXIT
            case StartCall():
                self._stop()
                self._pending = message
            case Change():
                self._change(*unpacked(message.updates))
            case UseRows():
                self._worker.use_inference_rows(message.inference_rows)
            case AskProfile():
                send_object(self._connection, PresentProfile(self._worker.profile()))
            case SaveLive():
                send_object(self._connection, Live(self._worker.live_state()))
            case Live():
                self._worker.load_live_state(message.states)
            case ParameterLayout():
                self._parameter_layout = message
            case _:
                raise TypeError(f"a worker cannot read {message!r}.")

    def _lease(self, indices: list[int]) -> None:
        self._queue.extend(index for index in indices if index not in self._leased)
        self._leased.update(indices)

    def _drop_lease(self) -> None:
        self._queue.clear()
        self._leased.clear()

    def _stop(self) -> None:
        self._is_over = True
        self._drop_lease()

    def _change(self, agent_update: Any, env_update: Any) -> None:
        self._worker.update_agent(agent_update)
        self._worker.update_env(env_update)

    def _begin(self, start: StartCall | None) -> None:
        """Take up the call that is pending, now that nothing of the one before is under way."""
        if start is None:
            return
        self._pending = None
        self._writer.rewind()
        if start.has_parameters and self._parameters is not None and self._parameter_layout is not None:
            self._worker.update_agent(read_parameters(self._parameters, self._parameter_layout))
        self._call, self._round_number = start.key, start.round_number
        self._drop_lease()
        self._lease(start.indices)
        self._has_asked = self._is_over = False
