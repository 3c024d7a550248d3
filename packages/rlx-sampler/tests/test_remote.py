"""The rules that all samplers with remote workers share, with workers that are no more than the protocol."""

from types import SimpleNamespace

import pytest
from sampler_worlds import make_local

from rlx_sampler import WorkerError
from rlx_sampler._batches.recorded import EpisodeChunk, as_recorded
from rlx_sampler._keys import CallKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._remote import coordinator as coordinator_module
from rlx_sampler._remote import worker as worker_module
from rlx_sampler._remote.coordinator import LONGEST_WAIT, Coordinator
from rlx_sampler._remote.worker import RemoteWorker

TIMEOUT = 5.0


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.now


class InlineWorker(RemoteWorker):
    """A worker in this process, with what is wrong with it."""

    queues_before_ready = True

    def __init__(self, number: int, fault: str) -> None:
        super().__init__(number)
        self.is_ready, self.fault, self.steps = True, fault, 0
        self.is_closed = False

    def begin_round(self) -> None:
        super().begin_round()
        self.wants_more = self.fault != "rests"

    def submit(self, round_number: int, call: CallKey, indices: list[int]) -> None:
        self.steps += self.fault == "is stuck"

    def steps_taken(self) -> int:
        return self.steps

    def stop(self, round_number: int) -> None:
        self.leased.clear()

    def how_it_ended(self) -> str:
        return "of a fault"

    def kill(self) -> None:
        self.is_closed = True

    def close(self) -> None:
        self.is_closed = True


class InlineCoordinator(Coordinator[InlineWorker]):
    """Has two workers, which have the faults in the order in which they are started; each wait takes a second."""

    def __init__(self, clock: Clock, *faults: str) -> None:
        super().__init__(TIMEOUT)
        self._clock = clock
        self._faults = iter(faults)
        self._batch = make_local().obtain_exact_episodes(1, None)
        self.workers = [self._start(number) for number in range(2)]
        self.first = self.workers[0]

    def _start(self, number: int) -> InlineWorker:
        return InlineWorker(number, next(self._faults, ""))

    def wait(self, longest: float = LONGEST_WAIT) -> None:
        self._clock.now += 1.01 * longest
        assert self._clock.now < 20 * TIMEOUT, "nothing happens any more"
        for worker in list(self.workers):
            if worker.fault == "dies":
                self._replace(worker)
            elif worker.fault == "rests":
                worker.wants_more = self._clock.now > 4 * TIMEOUT
                worker.fault = "" if worker.leased else worker.fault
            elif not worker.fault and worker.leased and self._clock.now > worker.number:
                self._return_all(worker)
        self._check_life()

    def _return_all(self, worker: InlineWorker) -> None:
        for index in sorted(worker.leased):
            self._take(worker, EpisodeChunk([index], [1], as_recorded(self._batch), 0))
        worker.wants_more = True

    def run(self) -> int:
        """Return how many of four episodes, two for each worker, came back."""
        ledger = Ledger(n_episodes=4, n_workers=2)
        self.collect(CallKey(7, 0, 0), ledger)
        return len(ledger.kept())


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let the layer's time pass by hand."""
    clock = Clock()
    for module in (coordinator_module, worker_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.mark.parametrize("fault", ["dies", "is stuck in an old step"])
def test_episodes_of_a_lost_worker_are_run_by_its_successor(clock: Clock, fault: str) -> None:
    """A worker that dies, or does not get to the call at all, is closed and replaced; nothing is missing."""
    coordinator = InlineCoordinator(clock, fault)
    assert coordinator.run() == 4
    assert coordinator.first.is_closed


@pytest.mark.parametrize("fault", ["dies", "is stuck in an old step"])
def test_the_third_death_in_a_row_is_an_error(clock: Clock, fault: str) -> None:
    """It says how the worker ended and what it had to run."""
    coordinator = InlineCoordinator(clock, fault, "dies", fault, fault, fault)
    with pytest.raises(WorkerError, match=r"died \(of a fault\): 3 deaths in a row.*had episodes \[\d"):
        coordinator.run()


def test_a_worker_stuck_in_a_step_of_the_call_is_an_error(clock: Clock) -> None:
    """It is said with the episodes, and its successor is there for the next call."""
    coordinator = InlineCoordinator(clock, "is stuck")
    with pytest.raises(WorkerError, match=r"worker 0 took no step for 5 s in episodes \[0.*\] of call 0"):
        coordinator.run()
    assert coordinator.first.is_closed
    assert coordinator.run() == 4


def test_a_worker_that_had_nothing_to_do_is_not_stuck(clock: Clock) -> None:
    """Its time begins with its first episode."""
    coordinator = InlineCoordinator(clock, "rests")
    assert coordinator.run() == 4
    assert not coordinator.first.is_closed
