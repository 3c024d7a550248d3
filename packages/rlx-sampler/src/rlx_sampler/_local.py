"""Sampling in the caller's own process."""

from typing import Any

from rlx_sampler._global_generators import one_torch_thread
from rlx_sampler._keyed_sampler import KeyedSampler
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._setups import own
from rlx_sampler._worker import Lease, Worker


class LocalSampler(KeyedSampler):
    """Runs episodes in this process, one worker after another.

    One worker does all the work, unless a list gives each its own policy or
    environment. For the arguments see :class:`KeyedSampler`.
    """

    def __init__(self, *args: Any, **sampler_args: Any) -> None:
        super().__init__(*args, **sampler_args)
        self._workers: dict[int, Worker] = {}
        self._worker(0)

    def _worker(self, number: int) -> Worker:
        if number not in self._workers:
            self._workers[number] = self._build_worker(number)
        return self._workers[number]

    def _broadcast(self, agent_updates: list[Any], env_updates: list[Any]) -> None:
        for number, worker in self._workers.items():
            worker.update_agent(own(agent_updates[number], "policy"))
            worker.update_env(own(env_updates[number], "environment"))

    def _collect(self, call: int, ledger: Ledger) -> None:
        with one_torch_thread():
            while not ledger.is_enough:
                for number in range(self.n_workers if self._pinned else 1):
                    self._run(number, call, ledger)

    def _run(self, number: int, call: int, ledger: Ledger) -> None:
        episodes = self._worker(number).run(self._leases(number, call, ledger))
        for key, recorded in episodes:
            ledger.add(key.episode, recorded)
            if ledger.is_enough:
                break

    def _leases(self, number: int, call: int, ledger: Ledger) -> Lease:
        def lease() -> EpisodeKey | None:
            index = ledger.lease(number)
            return None if index is None else self.key(call, index)

        return lease

    def _release(self) -> None:
        while self._workers:
            self._workers.popitem()[1].shutdown()
