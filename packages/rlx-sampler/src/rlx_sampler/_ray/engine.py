"""Running workers as actors of Ray, on one machine or many."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from typing import Any

from rlx_protocols import WorkerFactory
from rlx_sampler._copies import packed
from rlx_sampler._engine import Updates
from rlx_sampler._errors import WorkerError
from rlx_sampler._global_generators import generators_kept
from rlx_sampler._keys import EpisodeKey
from rlx_sampler._ray.actor import RayActor
from rlx_sampler._ray.actor_worker import ActorWorker
from rlx_sampler._remote.coordinator import LONGEST_WAIT, Coordinator
from rlx_sampler._workers.setups import Setup


def connected(options: Mapping[str, Any]) -> Any:
    """Return Ray, connected as `options` say unless it is connected already.

    Raises:
        ModuleNotFoundError: If Ray is not installed; names the extra.
    """
    try:
        ray: Any = import_module("ray")
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ModuleNotFoundError("RaySampler needs ray: pip install 'rlx-sampler[ray]'.") from error
    if not ray.is_initialized():
        with generators_kept():  # Ray draws names from Python's generator, which belongs to the run
            ray.init(**{"include_dashboard": False, "log_to_driver": False, **options})
    return ray


class RayEngine(Coordinator[ActorWorker]):
    """Hands episodes out to actors and collects what they give back."""

    def __init__(
        self,
        factory: WorkerFactory,
        setups: Sequence[Setup],
        *,
        probe: EpisodeKey,
        worker_timeout: float,
        ray_options: Mapping[str, Any],
        actor_options: Mapping[str, Any],
    ) -> None:
        super().__init__(worker_timeout)
        self._ray = connected(ray_options)
        self._factory = factory
        self._setups = setups
        self._probe = probe
        # Not a core each, as other defaults would claim: more workers than cores, and a second sampler, have room.
        options = {"scheduling_strategy": "SPREAD", **actor_options}
        self._actor_class = self._ray.remote(max_concurrency=4, **options)(RayActor)
        self._version = 0
        self.workers = [self._start(number) for number in range(factory.n_workers)]
        try:
            self.profile = self._ask_all("profile")[0]
        except BaseException:
            self.shutdown()
            raise

    def _start(self, number: int) -> ActorWorker:
        setup = packed((self._factory, self._setups[number]), "worker")
        rows = self.profile.inference_rows
        actor = self._actor_class.remote(setup, number, self._probe, rows, self._version)
        return ActorWorker(number, self._ray, actor, self._version, self._put_setup)

    def _put_setup(self, number: int) -> Any:
        """Put the setup of a worker that lacks several updates where it can read it; it begins again with it."""
        self.has_lost = self.has_lost or self.profile.steps_per_key is not None
        return self._ray.put(packed(self._setups[number], "worker"))

    def _ask_all(self, method: str, arguments: Sequence[Sequence[Any]] | None = None) -> list[Any]:
        """Call a method of every actor and wait for the answers.

        Raises:
            WorkerError: If there is no answer, or an error instead of one.
        """
        each = arguments or [()] * len(self.workers)
        timeout = max(self.timeout, ActorWorker.least_seconds_to_start)
        asked = [
            getattr(worker.actor, method).remote(*given)
            for worker, given in zip(self.workers, each, strict=True)
        ]
        try:
            answers: list[Any] = self._ray.get(asked, timeout=timeout)
        except self._ray.exceptions.RayError as error:
            raise WorkerError(f"a worker did not answer {method}() within {timeout:g} s: {error}") from error
        for worker in self.workers:
            worker.is_ready = True
        return answers

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        if inference_rows not in (None, self.profile.inference_rows):
            self.profile = replace(self.profile, inference_rows=inference_rows)
            self._ask_all("use_inference_rows", [(inference_rows,)] * len(self.workers))

    def renew_profile(self) -> None:
        """Ask the workers what has become known of their live environments."""
        if self.profile.steps_per_key is not None:
            self.profile = self.profile.with_events(self._ask_all("profile"))

    def live_states(self) -> list[list[bytes]]:
        """Return what goes on beyond an episode, by worker."""
        return self._ask_all("live_state")

    def load_live_states(self, states: Sequence[list[bytes]]) -> None:
        """Continue from what `live_states` returned."""
        self._ask_all("load_live_state", [(state,) for state in states])

    def broadcast(self, updates: Updates) -> None:
        """Put the updates where every actor can read them: once, where they are for all."""
        self._setups = updates.setups
        pairs = list(zip(updates.agents, updates.envs, strict=True))
        if all(update is None for pair in pairs for update in pair):
            return
        self._version += 1
        stored: dict[tuple[int, int], Any] = {}
        for worker, pair in zip(self.workers, pairs, strict=True):
            same = (id(pair[0]), id(pair[1]))
            if same not in stored:
                stored[same] = self._ray.put(packed(pair, "update"))
            worker.update, worker.newest = stored[same], self._version

    def wait(self, longest: float = LONGEST_WAIT) -> None:
        """See `Coordinator`."""
        tasks = {worker.task: worker for worker in self.workers if worker.task is not None}
        ready, _ = self._ray.wait(list(tasks), num_returns=1, timeout=longest)
        for task in ready:
            self._receive(tasks[task])
        self._check_life()

    def _receive(self, worker: ActorWorker) -> None:
        try:
            outcome = worker.outcome()
        except self._ray.exceptions.RayError as problem:
            raise WorkerError(f"worker {worker.number} gave no answer: {problem}") from problem
        if outcome is None:
            self._replace(worker)
            return
        for chunk in outcome.chunks:
            self._take(worker, chunk)
        if outcome.failure is not None:
            self._fail(worker, outcome.failure)
        self._give_back(worker)

    def shutdown(self) -> None:
        """End all actors. Calling it twice is allowed; Ray itself stays as it is."""
        workers, self.workers = self.workers, []
        if not workers or not self._ray.is_initialized():
            return
        closing = [worker.actor.close.remote() for worker in workers]
        with suppress(self._ray.exceptions.RayError):
            self._ray.wait(closing, num_returns=len(closing), timeout=2 * LONGEST_WAIT)
        for worker in workers:
            worker.close()
