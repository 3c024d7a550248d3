"""Sampling in the caller's own process."""

from collections.abc import Sequence
from typing import Any

from rlx_protocols import WorkerFactory
from rlx_sampler._engine import LedgerLease, Updates, build_worker
from rlx_sampler._errors import EpisodeError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._global_generators import one_torch_thread
from rlx_sampler._keyed_sampler import KeyedSampler
from rlx_sampler._keys import CallKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._workers.lane_worker import VecWorker
from rlx_sampler._workers.setups import Setup, own
from rlx_sampler._workers.worker import Worker


class LocalEngine:
    """Runs workers one after another; those that have nothing of their own to run are not built."""

    def __init__(self, factory: WorkerFactory, setups: Sequence[Setup]) -> None:
        self._factory = factory
        self._setups = setups
        self._workers: dict[int, Worker] = {}
        self._worker(0)

    def _worker(self, number: int) -> Worker:
        if number not in self._workers:
            worker = build_worker(self._factory, self._setups[number], number)
            worker.use_inference_rows(self.profile.inference_rows)
            self._workers[number] = worker
        return self._workers[number]

    @property
    def is_in_process(self) -> bool:
        """Say that the workers run here."""
        return True

    @property
    def environment(self) -> Any:
        """The first environment of the first worker; None where a worker of one's own has it."""
        worker = self._workers.get(0)
        return next(iter(worker.environments.all()), None) if isinstance(worker, VecWorker) else None

    @property
    def has_lost(self) -> bool:
        """Say that nothing dies here alone."""
        return False

    @property
    def profile(self) -> WorkerProfile:
        """What is known of the workers."""
        if not self._workers:
            return WorkerProfile()
        return self._workers[0].profile().with_events(worker.profile() for worker in self._workers.values())

    def renew_profile(self) -> None:
        """Do nothing: the profile is asked for when it is needed."""

    def live_states(self) -> list[list[bytes]]:
        """Return what continues beyond an episode, by worker."""
        return [
            self._workers[number].live_state() if number in self._workers else []
            for number in range(self._factory.n_workers)
        ]

    def load_live_states(self, states: Sequence[list[bytes]]) -> None:
        """Continue from what `live_states` returned."""
        for number, state in enumerate(states):
            if state or number in self._workers:
                self._worker(number).load_live_state(state)

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        for worker in self._workers.values():
            worker.use_inference_rows(inference_rows)

    def broadcast(self, updates: Updates) -> None:
        """Bring the updates to every worker that is built."""
        self._setups = updates.setups
        for number, worker in self._workers.items():
            worker.update_agent(own(updates.agents[number], "policy"))
            worker.update_env(own(updates.envs[number], "environment"))

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Let each worker run what belongs to it until there is enough."""
        with one_torch_thread():
            while not ledger.is_enough:
                for number in range(ledger.n_workers or 1):
                    self._run(number, call, ledger)

    def _run(self, number: int, call: CallKey, ledger: Ledger) -> None:
        try:
            for chunk in self._worker(number).run(LedgerLease(ledger, call, number)):
                ledger.add_all(chunk, number)
        except EpisodeError as error:
            if ledger.is_taken_whole:
                raise
            ledger.fail(error.keys[0].episode, error)
            ledger.give_back()

    def shutdown(self) -> None:
        """Close all environments."""
        while self._workers:
            self._workers.popitem()[1].shutdown()


class LocalSampler(KeyedSampler):
    """Runs episodes in this process, one worker after another.

    One worker does all the work, unless a list gives each its own policy or
    environment. For the arguments see `KeyedSampler`.
    """

    def _start_engine(self) -> LocalEngine:
        return LocalEngine(self._factory, self._setups)
