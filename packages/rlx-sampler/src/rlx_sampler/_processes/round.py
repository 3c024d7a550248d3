"""One sampling call, as the worker processes carry it out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rlx_sampler._batches.recorded import Harvest
from rlx_sampler._errors import EpisodeError
from rlx_sampler._keys import CallKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._processes.arena import read_pickled
from rlx_sampler._processes.messages import Kind, PickledHarvest, StartCall
from rlx_sampler._processes.process import WorkerProcess
from rlx_sampler._remote.failures import Failure, rebuilt
from rlx_sampler._remote.supervision import Patience


@dataclass(slots=True)
class Round:
    """Leases the episodes of one call to processes and takes them back.

    Its number is its own even where a call is repeated: what a worker still says of an attempt
    that failed or was interrupted is of another policy, perhaps, and is not taken.
    """

    number: int
    call: CallKey
    ledger: Ledger
    patience: Patience
    pickled_episodes: int = 0

    def start(self, process: WorkerProcess) -> None:
        """Tell a process that is ready of the call, with its first episodes."""
        indices = self._lease(process)
        process.begin_call()
        process.send(StartCall(self.number, self.call, indices, process.lacks_parameters))
        process.lacks_parameters = False

    def feed(self, processes: Sequence[WorkerProcess]) -> None:
        """Give more to those that asked, where there is more."""
        for process in processes:
            if process.is_hungry and process.is_ready and (indices := self._lease(process)):
                process.send_numbers(Kind.LEASE, indices)

    def _lease(self, process: WorkerProcess) -> list[int]:
        indices = self.ledger.lease_many(process.number, process.n_lanes)
        process.out.update(indices)
        process.is_hungry = not indices
        return indices

    def take(self, process: WorkerProcess, message: Any) -> bool:
        """Take a message that belongs to the call; return whether it did.

        Raises:
            EpisodeError: If an episode that is needed raised.
        """
        match message:
            case (Kind.HARVEST, [self.number, *numbers]):
                self._add(process, process.arena.read(numbers))
            case (Kind.MORE, [self.number]):
                process.is_hungry = True
            case PickledHarvest(round_number=self.number):
                harvest = read_pickled(message)
                self.pickled_episodes += len(harvest.indices)
                self._add(process, harvest)
            case Failure(round_number=self.number):
                self._fail(process, message)
            case _:
                return False
        return True

    def _add(self, process: WorkerProcess, harvest: Harvest) -> None:
        self.patience.renew()
        process.out.difference_update(harvest.indices)
        self.ledger.add_all(harvest, process.number)

    def _fail(self, process: WorkerProcess, failure: Failure) -> None:
        error = rebuilt(failure)
        if not isinstance(error, EpisodeError):
            raise error
        index = error.keys[0].episode
        self.ledger.give_back(process.out - {index})
        process.out.clear()
        process.is_hungry = True
        self.ledger.fail(index, error)
