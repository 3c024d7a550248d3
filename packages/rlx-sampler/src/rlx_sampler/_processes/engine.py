"""Running workers in processes of their own."""

from collections.abc import Sequence
from typing import Any

from rlx_protocols import WorkerFactory
from rlx_sampler._copies import packed
from rlx_sampler._engine import Updates
from rlx_sampler._errors import WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._offers import is_policy
from rlx_sampler._processes.messages import AskProfile, Change, Live, SaveLive
from rlx_sampler._processes.parameters import ParameterWriter
from rlx_sampler._processes.pool import ProcessPool
from rlx_sampler._processes.process import WorkerProcess
from rlx_sampler._processes.shared_memory import SharedMemory
from rlx_sampler._processes.worker_process import Assignment
from rlx_sampler._workers.setups import Setup


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
        self._rows: int | None = None
        self._timeout = worker_timeout
        self._memory = SharedMemory() if shared_memory else None
        self._writer = None if self._memory is None else ParameterWriter(self._memory)
        self.is_in_process = False
        self.environment: Any = None
        self._pool = ProcessPool(factory.n_workers, self._start, self._greet, worker_timeout)

    def _start(self, number: int) -> WorkerProcess:
        setup = packed((self._factory, self._setups[number]), "worker")
        return WorkerProcess(Assignment(number, setup, self._probe, self._rows, None, self._memory))

    def _greet(self, process: WorkerProcess) -> None:
        if self._writer is not None and self._writer.layout is not None:
            process.send(self._writer.layout)

    @property
    def profile(self) -> WorkerProfile:
        """What is known of the workers."""
        return self._pool.profile

    @property
    def has_lost(self) -> bool:
        """Whether live environments died with a worker."""
        return self._pool.has_lost

    @property
    def pickled_episodes(self) -> int:
        """Episodes that held something shared memory cannot, and came pickled."""
        return self._pool.pickled_episodes

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers."""
        return [process.pid for process in self._pool.workers]

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        if inference_rows is not None:
            self._rows = inference_rows
            self._pool.use_inference_rows(inference_rows)

    def renew_profile(self) -> None:
        """Ask the workers what has become known of their live environments."""
        if self.profile.steps_per_key is None:
            return
        processes = list(self._pool.workers)
        for process in processes:
            process.present_profile = None
            process.heartbeat.begin(process.steps_taken())
        self._pool.send_all([AskProfile()] * len(processes))
        while any(process.present_profile is None for process in processes):
            self._pool.wait()
            silent = any(process.heartbeat.seconds_silent > self._timeout for process in processes)
            if silent or processes != self._pool.workers:
                return  # what died is known as lost, and what is stuck ends the next call
        answers = [process.present_profile for process in processes]
        self._pool.profile = self.profile.with_events(filter(None, answers))

    def live_states(self) -> list[list[bytes]]:
        """Return what goes on beyond an episode, by worker.

        Raises:
            WorkerError: If a worker dies or is stuck meanwhile.
        """
        processes = list(self._pool.workers)
        for process in processes:
            process.live = None
            process.heartbeat.begin(process.steps_taken())
        self._pool.send_all([SaveLive()] * len(processes))
        while any(process.live is None for process in processes):
            self._pool.wait()
            silent = any(process.heartbeat.seconds_silent > self._timeout for process in processes)
            if silent or processes != self._pool.workers:
                raise WorkerError("a worker died, or was stuck, while its live environments were saved.")
        return [process.live or [] for process in processes]

    def load_live_states(self, states: Sequence[list[bytes]]) -> None:
        """Continue from what `live_states` returned."""
        self._pool.send_all([Live(state) for state in states])

    def broadcast(self, updates: Updates) -> None:
        """Bring the updates to every worker: parameters for all through one shared block.

        What cannot be sent is refused before anything is.
        """
        agents = list(updates.agents)
        layouts = self._write_parameters(agents)
        if layouts is not None:
            agents = [None] * len(agents)
        pairs = list(zip(agents, updates.envs, strict=True))
        has_any = any(update is not None for pair in pairs for update in pair)
        changes = [Change(packed(pair, "update")) for pair in pairs] if has_any else []
        self._setups, self._rows = updates.setups, self.profile.inference_rows  # for those that are replaced
        for process, agent in zip(self._pool.workers, agents, strict=True):
            process.lacks_parameters = agent is None and (process.lacks_parameters or layouts is not None)
        if layouts:
            self._pool.send_all(layouts)
        if changes:
            self._pool.send_all(changes)

    def _write_parameters(self, agents: Sequence[Any]) -> Sequence[object] | None:
        """Put parameters that are for all workers into the shared block.

        Returns:
            What the workers must be told of their layout; None where they do not fit into the block.
        """
        first = agents[0]
        if self._writer is None or first is None or is_policy(first) or any(a is not first for a in agents):
            return None
        try:
            is_new_layout = self._writer.write(first)
        except TypeError:  # not plain numbers
            return None
        return [self._writer.layout] * len(agents) if is_new_layout else []

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Run what `ledger` leases until it has enough.

        Raises:
            EpisodeError: If an environment or a policy raised in an episode that is needed.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """
        self._pool.collect(call, ledger)

    def shutdown(self) -> None:
        """End all worker processes. Calling it twice is allowed."""
        self._pool.shutdown()
