"""What the keyed layer asks of whatever runs the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlx_protocols import WorkerFactory
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._setups import Setup
from rlx_sampler._worker import Worker


@dataclass(frozen=True, slots=True)
class Updates:
    """One update each for every worker, and where they leave it; None keeps what there is."""

    agents: Sequence[Any]
    envs: Sequence[Any]
    setups: Sequence[Setup]


class Engine(Protocol):
    """Runs the workers of one sampler. It decides who runs an episode and when, nothing else."""

    @property
    def inference_rows(self) -> int | None:
        """Rows of every call of the policy, once known."""
        ...

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        ...

    def broadcast(self, updates: Updates) -> None:
        """Bring the updates to every worker."""
        ...

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Run what `ledger` leases until it has enough."""
        ...

    def shutdown(self) -> None:
        """Release the workers, whatever state they are in. Calling it twice is allowed."""
        ...


@dataclass(frozen=True, slots=True)
class LedgerLease:
    """What one worker of a ledger in the same process is to run."""

    ledger: Ledger
    call: CallKey
    worker: int

    def next_key(self) -> EpisodeKey | None:
        """Return the next key that the ledger wants from the worker."""
        index = self.ledger.lease(self.worker)
        return None if index is None else self.call.episode(index)

    def is_over(self) -> bool:
        """Whether the ledger has enough."""
        return self.ledger.is_enough


@dataclass(frozen=True, slots=True)
class OneEpisode:
    """A lease that ends with the keys it was given."""

    keys: list[EpisodeKey]

    def next_key(self) -> EpisodeKey | None:
        """Return the next key, and forget it."""
        return self.keys.pop() if self.keys else None

    def is_over(self) -> bool:
        """Say that it is wanted to the end."""
        return False


def build_worker(factory: WorkerFactory, setup: Setup, number: int) -> Worker:
    """Return worker `number`, with a policy and environment of its own."""
    worker: Worker = factory(number)
    setup.apply(worker)
    return worker
