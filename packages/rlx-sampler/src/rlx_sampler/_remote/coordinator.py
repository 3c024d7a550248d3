"""Who runs which episode, and what happens when a worker fails, dies or is stuck: one rule each."""

import time
from abc import ABC, abstractmethod
from typing import Any, Final, Generic, TypeVar

from rlx_sampler._batches.recorded import EpisodeChunk
from rlx_sampler._errors import EpisodeError, WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._remote.failures import Failure, raised_by, rebuilt
from rlx_sampler._remote.worker import RemoteWorker

MAX_DEATHS: Final = 3
LONGEST_WAIT: Final = 1.0
"""Seconds between two looks at what the workers do."""

W = TypeVar("W", bound=RemoteWorker)


class Coordinator(ABC, Generic[W]):
    """Leases the episodes of a call to workers, takes them back, and keeps the workers at full strength.

    Args:
        timeout: Seconds without a sign of life after which a worker counts as stuck.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.is_in_process = False
        self.environment: Any = None
        self.profile = WorkerProfile()
        """What is known of the workers."""
        self.has_lost = False
        """Whether live environments died with a worker."""
        self.workers: list[W] = []
        self.round_number = 0
        """Rises where a sampling call begins and where it ends: what workers still say of an attempt that
        failed or was interrupted, perhaps with another policy, is not taken."""
        self._call: CallKey | None = None
        self._ledger = Ledger(n_episodes=0)
        self._deaths = 0
        self._next_look = 0.0

    @abstractmethod
    def _start(self, number: int) -> W:
        """Start worker `number`, for the first time or again."""

    @abstractmethod
    def wait(self, longest: float = LONGEST_WAIT) -> None:
        """Take what the workers say within `longest` seconds, and notice those that are dead or stuck.

        Raises:
            EpisodeError: If an episode that is needed raised.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Run what `ledger` leases until it has enough.

        Raises:
            EpisodeError: If an environment or a policy raised in an episode that is needed.
            WorkerError: If workers die again and again, or one does nothing for too long.
        """
        self.round_number += 1
        self._call, self._ledger, self._deaths = call, ledger, 0
        try:
            for worker in self.workers:
                worker.begin_round()
            while not ledger.is_enough:
                self._lease(call)
                self.wait()
        finally:
            ended, self.round_number = self.round_number, self.round_number + 1
            self._call, self._ledger = None, Ledger(n_episodes=0)
            for worker in self.workers:
                worker.leased.clear()
                worker.stop(ended)

    def _lease(self, call: CallKey) -> None:
        """Give episodes to the workers that take more, where there are more."""
        for worker in self.workers:
            if not worker.wants_more:
                continue
            indices = self._ledger.lease_many(worker.number, self.profile.n_lanes)
            if indices:
                if not worker.leased:
                    worker.heartbeat.renew()  # that it was silent without work means nothing
                worker.leased.update(indices)
                worker.wants_more = False
                worker.submit(self.round_number, call, indices)

    def _take(self, worker: W, chunk: EpisodeChunk) -> None:
        """Take episodes that a worker finished."""
        self._deaths = 0
        worker.leased.difference_update(chunk.indices)
        self._ledger.add_all(chunk, worker.number)

    def _give_back(self, worker: W) -> None:
        """Let others run what a worker has left of its episodes, and the worker take more."""
        self._ledger.give_back(worker.leased)
        worker.leased.clear()
        worker.wants_more = True

    def _fail(self, worker: W, failure: Failure) -> None:
        """Learn that a worker raised.

        Raises:
            EpisodeError: If it was in an episode that is needed.
            WorkerError: If it was outside of episodes.
        """
        error = rebuilt(failure)
        if failure.round_number is None or not isinstance(error, EpisodeError):
            raise raised_by(worker.number, failure)
        index = error.keys[0].episode
        worker.leased.discard(index)
        self._give_back(worker)
        self._ledger.fail(index, error)

    def _replace(self, worker: W) -> None:
        """Start another worker in the place of a dead one; its episodes go to whoever asks first.

        Raises:
            WorkerError: If it is one death too many.
        """
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise WorkerError(
                f"worker {worker.number} died ({worker.how_it_ended()}): {self._deaths} deaths in a row without "
                f"a finished episode. It had episodes {sorted(worker.leased)}: replay() of the sampler runs one "
                f"in this process."
            )
        self._ledger.give_back(worker.leased)
        self._start_again(worker)

    def _start_again(self, worker: W) -> None:
        self.has_lost = self.has_lost or (worker.is_ready and self.profile.steps_per_key is not None)
        successor = self._start(worker.number)  # where there is no memory for it, the dead one is met again
        worker.close()
        self.workers[worker.number] = successor

    def _check_life(self) -> None:
        """Replace workers that are stuck, which is looked at now and then.

        Raises:
            WorkerError: If one was stuck in a step of the present call, and not in something old.
        """
        now = time.monotonic()
        if now <= self._next_look:
            return
        self._next_look = now + LONGEST_WAIT
        stuck = [worker for worker in self.workers if worker.is_stuck(self.timeout)]
        for worker in stuck:
            worker.kill()
        at_work = [worker for worker in stuck if self._call is not None and worker.heartbeat.has_begun]
        for worker in stuck:
            if worker in at_work:
                self._start_again(worker)
            else:
                self._replace(worker)
        if at_work:
            raise self._stuck(at_work[0])

    def _stuck(self, worker: W) -> WorkerError:
        call = None if self._call is None else self._call.call
        return WorkerError(
            f"worker {worker.number} took no step for {self.timeout:g} s in episodes {sorted(worker.leased)} of "
            f"call {call}, and was ended. Pass a larger worker_timeout if that is how long a step can take; "
            f"replay() of the sampler runs an episode in this process."
        )
