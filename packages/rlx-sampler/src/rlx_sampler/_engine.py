"""What the keyed layer asks of whatever runs the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rlx_protocols import WorkerFactory
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._workers.setups import Setup
from rlx_sampler._workers.worker import Wanted, Worker, built_alike


@dataclass(frozen=True, slots=True)
class Updates:
    """One update each for every worker, and where they leave it; None keeps what there is."""

    agents: Sequence[Any]
    envs: Sequence[Any]
    setups: Sequence[Setup]


class Engine(Protocol):
    """Runs the workers of one sampler. It decides who runs an episode and when, nothing else."""

    @property
    def is_in_process(self) -> bool:
        """Whether the workers run in the caller's process, in a fixed order."""
        ...

    @property
    def profile(self) -> WorkerProfile:
        """What is known of the workers, which are all alike."""
        ...

    def renew_profile(self) -> None:
        """Let `profile` tell what has become known of live environments, in whichever worker."""
        ...

    @property
    def environment(self) -> Any:
        """The first environment, where it is in the caller's process; else None."""
        ...

    @property
    def has_lost(self) -> bool:
        """Whether live environments died with a worker."""
        ...

    def live_states(self) -> list[list[bytes]]:
        """Return what continues beyond an episode, by worker."""
        ...

    def load_live_states(self, states: Sequence[list[bytes]]) -> None:
        """Continue from what `live_states` returned, with as many workers."""
        ...

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        ...

    def broadcast(self, updates: Updates) -> None:
        """Bring the updates to every worker; out of process, what cannot be sent is refused before anything is."""
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

    def take_all(self) -> Wanted | None:
        """Take the whole call, where the ledger has one worker."""
        return self.ledger.take_all(self.call)

    def next_range(self, count: int) -> tuple[CallKey, range] | None:
        """Take the next `count` episodes at once, where the ledger has one worker."""
        indices = self.ledger.lease_range(count)
        return None if indices is None else (self.call, indices)

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

    def take_all(self) -> None:
        """Take no whole call: there are only these keys."""

    def next_range(self, count: int) -> None:
        """Take no several episodes at once."""

    def next_key(self) -> EpisodeKey | None:
        """Return the next key, and forget it."""
        return self.keys.pop() if self.keys else None

    def is_over(self) -> bool:
        """Say that it is wanted to the end."""
        return False


def dealt(states: Sequence[list[bytes]], n_workers: int, engine: Engine) -> list[list[bytes]]:
    """Return live environments as `n_workers` workers hold them: environment i with worker i mod n.

    Raises:
        ValueError: If the workers of `engine` cannot hold them.
    """
    if not any(states):
        return [[] for _ in range(n_workers)]
    lanes = [state[e] for e in range(max(map(len, states))) for state in states if e < len(state)]
    profile = engine.profile
    if profile.steps_per_key is None:
        if len(states) != n_workers or not engine.is_in_process:
            raise ValueError(
                f"the state holds environments with a history, from {len(states)} workers in one process; "
                f"only as many in one process can continue with it."
            )
        return list(states)
    if len(lanes) != n_workers * profile.n_live:
        raise ValueError(
            f"the state holds {len(lanes)} live environments; {n_workers} workers of {profile.n_live} "
            f"have {n_workers * profile.n_live}: keep the total, with other n_envs or n_workers."
        )
    return [lanes[number::n_workers] for number in range(n_workers)]


def build_worker(factory: WorkerFactory, setup: Setup, number: int) -> Worker:
    """Return worker `number`, with a policy and environment of its own.

    Raises:
        TypeError: If the factory's class is no class of workers.
    """
    worker: Any = factory(number)
    if not isinstance(worker, Worker):
        raise TypeError(f"worker_class gave {worker!r:.100}; it must be a subclass of rlx_sampler.Worker.")
    with built_alike(worker):
        setup.apply(worker)
    return worker
