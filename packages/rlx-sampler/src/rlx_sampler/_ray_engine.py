"""Running workers as actors of Ray, on one machine or many."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Final

from rlx_protocols import WorkerFactory
from rlx_sampler._copies import packed
from rlx_sampler._engine import Updates
from rlx_sampler._errors import EpisodeError, WorkerError
from rlx_sampler._exactness import WorkerProfile
from rlx_sampler._global_generators import generators_kept
from rlx_sampler._keys import CallKey, EpisodeKey
from rlx_sampler._ledger import Ledger
from rlx_sampler._ray_actor import Outcome, RayActor
from rlx_sampler._round import rebuilt
from rlx_sampler._setups import Setup

MAX_DEATHS: Final = 3
LONGEST_WAIT: Final = 2.0


@dataclass(slots=True)
class _Seat:
    """The place of one worker, and the actor that sits there now."""

    number: int
    actor: Any
    update: Any = None
    out: list[int] = field(default_factory=list[int])
    pulse: int = -1
    last_sign: float = 0.0


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


class RayEngine:
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
        self._ray = connected(ray_options)
        self._factory = factory
        self._setups = setups
        self._probe = probe
        self._timeout = worker_timeout
        share = min(1.0, self._ray.cluster_resources().get("CPU", 1.0) / factory.n_workers)
        options = {"num_cpus": share, "scheduling_strategy": "SPREAD", **actor_options}
        self._actor_class = self._ray.remote(max_concurrency=4, **options)(RayActor)
        self._version = 0
        self._round = 0
        self._deaths = 0
        self.profile = WorkerProfile()
        """What is known of the workers."""
        self.is_in_process = False
        self.has_lost = False
        """Whether live environments died with a worker."""
        self._seats = [_Seat(number, self._start(number)) for number in range(factory.n_workers)]
        try:
            self.profile = self._ask_all("profile")[0]
        except BaseException:
            self.shutdown()
            raise

    def _start(self, number: int) -> Any:
        blueprint = packed((self._factory, self._setups[number]), "worker")
        return self._actor_class.remote(blueprint, number, self._probe, self.profile.inference_rows)

    def _ask_all(self, method: str, arguments: Sequence[Sequence[Any]] | None = None) -> list[Any]:
        """Call a method of every actor and wait for the answers.

        Raises:
            WorkerError: If there is no answer, or an error instead of one.
        """
        each = arguments or [()] * len(self._seats)
        asked = [
            getattr(seat.actor, method).remote(*given) for seat, given in zip(self._seats, each, strict=True)
        ]
        try:
            answers: list[Any] = self._ray.get(asked, timeout=self._timeout)
        except self._ray.exceptions.RayError as error:
            raise WorkerError(
                f"a worker did not answer {method}() within {self._timeout:g} s: {error}"
            ) from error
        return answers

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        if inference_rows not in (None, self.profile.inference_rows):
            self.profile = replace(self.profile, inference_rows=inference_rows)
            self._ask_all("use_inference_rows", [(inference_rows,)] * len(self._seats))

    def live_states(self) -> list[list[bytes]]:
        """Return what goes on beyond an episode, by worker."""
        return self._ask_all("live_state")

    def load_live_states(self, states: Sequence[list[bytes]]) -> None:
        """Go on from what :meth:`live_states` returned."""
        self._ask_all("load_live_state", [(state,) for state in states])

    def broadcast(self, updates: Updates) -> None:
        """Put the updates where every actor can read them: once, where they are for all."""
        self._setups = updates.setups
        pairs = list(zip(updates.agents, updates.envs, strict=True))
        if all(update is None for pair in pairs for update in pair):
            for seat in self._seats:
                seat.update = None
            return
        self._version += 1
        stored: dict[tuple[int, int], Any] = {}
        for seat, pair in zip(self._seats, pairs, strict=True):
            same = (id(pair[0]), id(pair[1]))
            if same not in stored:
                stored[same] = self._ray.put(packed(pair, "update"))
            seat.update = stored[same]

    def collect(self, call: CallKey, ledger: Ledger) -> None:
        """Run what `ledger` leases until it has enough.

        Raises:
            EpisodeError: If an environment or a policy raised in an episode that is needed.
            WorkerError: If actors die again and again, or one does nothing for too long.
        """
        self._deaths = 0
        self._round += 1
        running: dict[Any, _Seat] = {}
        try:
            while not ledger.is_enough:
                self._lease(call, ledger, running)
                ready, _ = self._ray.wait(list(running), num_returns=1, timeout=LONGEST_WAIT)
                for reference in ready:
                    self._take(running.pop(reference), reference, ledger)
                if not ready:
                    self._check_life(call, running.values())
        finally:
            for seat in self._seats:
                seat.actor.stop.remote(self._round)

    def _lease(self, call: CallKey, ledger: Ledger, running: dict[Any, _Seat]) -> None:
        busy = {seat.number for seat in running.values()}
        for seat in self._seats:
            if seat.number in busy:
                continue
            seat.out = ledger.lease_many(seat.number, self.profile.n_lanes)
            if seat.out:
                seat.last_sign = time.monotonic()
                task = seat.actor.run.remote(self._round, call, seat.out, self._version, seat.update)
                running[task] = seat

    def _take(self, seat: _Seat, reference: Any, ledger: Ledger) -> None:
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayActorError:
            self._replace(seat, ledger)
            return
        self._deaths = 0
        left = set(seat.out)
        for harvest in outcome.harvests:
            ledger.add_all(harvest)
            left.difference_update(harvest.indices)
        error = None if outcome.failure is None else rebuilt(outcome.failure)
        if isinstance(error, EpisodeError):
            left.discard(error.keys[0].episode)
            ledger.fail(error.keys[0].episode, error)
        elif error is not None:
            raise error
        ledger.give_back(left)

    def _replace(self, seat: _Seat, ledger: Ledger) -> None:
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise WorkerError(
                f"worker {seat.number} died, the {self._deaths}th without an episode in between. It had "
                f"episodes {seat.out}: replay() of the sampler runs one in this process."
            )
        self.has_lost = self.has_lost or self.profile.steps_per_key is not None
        ledger.give_back(seat.out)
        seat.actor, seat.update = self._start(seat.number), None

    def _check_life(self, call: CallKey, busy: Any) -> None:
        for seat in busy:
            with suppress(self._ray.exceptions.RayError):
                pulse = self._ray.get(seat.actor.pulse.remote(), timeout=LONGEST_WAIT)
                if pulse != seat.pulse:
                    seat.pulse, seat.last_sign = pulse, time.monotonic()
            if time.monotonic() - seat.last_sign > self._timeout:
                self._ray.kill(seat.actor)
                seat.actor = self._start(seat.number)
                raise WorkerError(
                    f"worker {seat.number} took no step for {self._timeout:g} s in episodes {seat.out} of call "
                    f"{call.call}, and was ended. Pass a larger worker_timeout if that is how long a step can take."
                )

    def shutdown(self) -> None:
        """End all actors. Calling it twice is allowed; Ray itself stays as it is."""
        seats, self._seats = self._seats, []
        if not self._ray.is_initialized():
            return
        closing = [seat.actor.close.remote() for seat in seats]
        with suppress(self._ray.exceptions.RayError):
            self._ray.wait(closing, num_returns=len(closing), timeout=LONGEST_WAIT) if closing else None
        for seat in seats:
            self._ray.kill(seat.actor)
