"""Running workers in processes of their own, and replacing those that die."""

import pickle
import time
from collections.abc import Sequence
from multiprocessing import connection as waiting
from typing import Any, Final

from rlx_protocols import WorkerFactory
from rlx_sampler._arena import read_pickled
from rlx_sampler._copies import packed
from rlx_sampler._engine import Updates
from rlx_sampler._errors import EpisodeError, WorkerError
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._messages import (
    Change,
    Failure,
    Kind,
    NewLayout,
    PickledEpisode,
    Ready,
    StartCall,
    UseRows,
    receive,
)
from rlx_sampler._offers import is_policy
from rlx_sampler._parameters import ParameterWriter
from rlx_sampler._process import WorkerProcess
from rlx_sampler._recorded import Recorded
from rlx_sampler._setups import Setup
from rlx_sampler._shared_memory import SharedMemory
from rlx_sampler._worker_process import Assignment

MAX_DEATHS: Final = 3
LONGEST_WAIT: Final = 1.0


class ProcessEngine:
    """Hands episodes out to worker processes and collects what they give back."""

    def __init__(
        self,
        factory: WorkerFactory,
        setups: Sequence[Setup],
        *,
        probe: EpisodeKey,
        worker_timeout: float,
        shared_memory: bool,
    ) -> None:
        self._factory = factory
        self._setups = setups
        self._probe = probe
        self._timeout = worker_timeout
        self._memory = SharedMemory() if shared_memory else None
        self._writer = None if self._memory is None else ParameterWriter(self._memory)
        self._has_parameters = False
        self._rows: int | None = None
        self._deaths = 0
        self._next_check = 0.0
        self.pickled_episodes = 0
        """Episodes that held something shared memory cannot, and came pickled."""
        self._processes: list[WorkerProcess] = []
        try:
            self._processes.extend(self._start(number) for number in range(factory.n_workers))
            self._await_all()
        except BaseException:
            self.shutdown()
            raise

    def _start(self, number: int) -> WorkerProcess:
        blueprint = packed((self._factory, self._setups[number]), "worker")
        return WorkerProcess(Assignment(number, blueprint, self._probe, self._rows, None, self._memory))

    def _await_all(self) -> None:
        while not all(process.is_ready for process in self._processes):
            self._wait(None, None)

    @property
    def inference_rows(self) -> int | None:
        """Rows of every call of the policy, once known."""
        return self._rows

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        if inference_rows not in (None, self._rows):
            self._rows = inference_rows
            self._send_all([UseRows(inference_rows)] * len(self._processes))

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [process.pid for process in self._processes]

    def _send_all(self, messages: Sequence[object]) -> None:
        for process, message in zip(self._processes, messages, strict=True):
            process.send(message, self._timeout)

    def broadcast(self, updates: Updates) -> None:
        """Bring the updates to every worker: parameters for all through one shared block."""
        self._setups = updates.setups
        agents = list(updates.agents)
        if self._write_parameters(agents):
            agents = [None] * len(agents)
        pairs = list(zip(agents, updates.envs, strict=True))
        if any(update is not None for pair in pairs for update in pair):
            self._send_all([Change(packed(pair, "update")) for pair in pairs])

    def _write_parameters(self, agents: Sequence[Any]) -> bool:
        """Put parameters that are for all workers into the shared block, where they fit there."""
        first = agents[0]
        if self._writer is None or first is None or is_policy(first) or any(a is not first for a in agents):
            return False
        try:
            is_new_layout = self._writer.write(first)
        except TypeError:  # not plain numbers
            return False
        self._has_parameters = True
        if is_new_layout:
            self._send_all([self._writer.layout] * len(self._processes))
        return True

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Run what `ledger` leases until it has enough.

        Raises:
            EpisodeError: If an environment or a policy raised in an episode that is needed.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """
        self._deaths = 0
        try:
            for process in self._processes:
                process.out.clear()
                self._start_call(process, call, ledger)
            while not ledger.is_enough:
                self._feed(ledger)
                self._wait(call, ledger)
        finally:
            self._has_parameters = False
            for process in self._processes:
                process.send_numbers(Kind.STOP)

    def _start_call(self, process: WorkerProcess, call: CallKey, ledger: Ledger) -> None:
        if not process.is_ready:
            return
        indices = ledger.lease_many(process.number, process.n_lanes)
        process.out.update(indices)
        process.is_hungry = not indices
        process.begin_call()
        process.send(StartCall(call, indices, self._has_parameters), self._timeout)

    def _feed(self, ledger: Ledger) -> None:
        for process in self._processes:
            if process.is_hungry and process.is_ready:
                indices = ledger.lease_many(process.number, process.n_lanes)
                if indices:
                    process.out.update(indices)
                    process.is_hungry = False
                    process.send_numbers(Kind.LEASE, indices)

    def _wait(self, call: CallKey | None, ledger: Ledger | None) -> None:
        """Take what the workers say, and notice those that are dead or stuck."""
        handles = {process.connection: process for process in self._processes}
        ready = waiting.wait(
            [*handles, *(p.sentinel for p in self._processes)], min(LONGEST_WAIT, self._timeout)
        )
        for process in list(self._processes):
            try:
                if process.connection in ready:
                    self._read_all(process, call, ledger)
                elif process.sentinel in ready:
                    self._replace(process, ledger)
            except (EOFError, ConnectionResetError, BrokenPipeError):
                self._replace(process, ledger)
        if time.monotonic() > self._next_check:
            self._next_check = time.monotonic() + LONGEST_WAIT
            self._check_life(call, ledger)

    def _read_all(self, process: WorkerProcess, call: CallKey | None, ledger: Ledger | None) -> None:
        process.saw_life()
        while True:
            self._read(process, receive(process.connection), call, ledger)
            if not process.connection.poll():
                return

    def _read(
        self, process: WorkerProcess, message: Any, call: CallKey | None, ledger: Ledger | None
    ) -> None:
        now = None if call is None else call.call
        match message:
            case (Kind.EPISODE, [number, index, layout, offset, *rows]):
                if ledger is not None and number == now:
                    self._add(process, ledger, index, process.arena.read(layout, offset, rows))
            case (Kind.MORE, [number]):
                process.is_hungry = process.is_hungry or number == now
            case NewLayout():
                process.arena.layouts[message.number] = message.layout
            case PickledEpisode():
                if ledger is not None and message.call == now:
                    self.pickled_episodes += 1
                    self._add(process, ledger, message.index, read_pickled(message))
            case Ready():
                self._welcome(process, message)
                if call is not None and ledger is not None:
                    self._start_call(process, call, ledger)
            case Failure():
                self._fail(process, message, now, ledger)
            case _:
                process.saw_life()

    def _add(self, process: WorkerProcess, ledger: Ledger, index: int, episode: Recorded) -> None:
        self._deaths = 0
        process.out.discard(index)
        ledger.add(index, episode)

    def _welcome(self, process: WorkerProcess, ready: Ready) -> None:
        process.is_ready, process.n_lanes = True, ready.n_lanes
        if self._rows is None:
            self._rows = ready.inference_rows
        elif ready.inference_rows not in (None, self._rows):
            process.send(UseRows(self._rows), self._timeout)
        if self._writer is not None and self._writer.layout is not None:
            process.send(self._writer.layout, self._timeout)

    def _fail(self, process: WorkerProcess, failure: Failure, now: int | None, ledger: Ledger | None) -> None:
        error = _rebuild(failure)
        if not isinstance(error, EpisodeError):
            raise WorkerError(
                f"worker {process.number} raised {failure.text}.\n\nIn the worker:\n{failure.remote_traceback}"
            ) from error
        if ledger is None or failure.call != now:
            return
        index = error.keys[0].episode
        ledger.give_back(process.out - {index})
        process.out.clear()
        process.is_hungry = True
        ledger.fail(index, error)

    def _replace(self, process: WorkerProcess, ledger: Ledger | None) -> None:
        """Start another process in the place of a dead one; its episodes go to whoever asks first."""
        exit_code = process.exit_code
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise WorkerError(
                f"worker {process.number} died (exit code {exit_code}; -9 is a kill, by the system if memory is "
                f"short), the {self._deaths}th without an episode in between. It had episodes "
                f"{sorted(process.out)}: replay() of the sampler runs one in this process."
            )
        if ledger is not None:
            ledger.give_back(process.out)
        process.close()
        self._processes[process.number] = self._start(process.number)

    def _check_life(self, call: CallKey | None, ledger: Ledger | None) -> None:
        """Replace workers that are stuck in something old; say which episodes others are stuck in."""
        stuck = [process for process in self._processes if process.is_stuck(self._timeout)]
        for process in stuck:
            process.kill()
        at_work = [process for process in stuck if process.has_begun]
        for process in stuck:
            if process not in at_work:
                self._replace(process, ledger)
        if at_work and call is not None:
            raise WorkerError(
                f"worker {at_work[0].number} took no step for {self._timeout:g} s in episodes "
                f"{sorted(at_work[0].out)} of call {call.call}, and was ended. Pass a larger worker_timeout if "
                f"that is how long a step can take; replay() of the sampler runs an episode in this process."
            )

    def shutdown(self) -> None:
        """End all worker processes. Calling it twice is allowed."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.send_numbers(Kind.EXIT)
        for process in processes:
            process.end()


def _rebuild(failure: Failure) -> Exception:
    """Return the worker's error, with its cause and traceback."""
    if not failure.error:
        return RuntimeError(failure.text)
    error: Exception
    error, cause = pickle.loads(failure.error)
    if isinstance(error, EpisodeError):
        error = EpisodeError(error.where, error.keys, error.reason, failure.remote_traceback)
    error.__cause__ = cause
    return error
