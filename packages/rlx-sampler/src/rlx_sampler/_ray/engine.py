"""Running workers as actors of Ray, on one machine or many."""

from collections.abc import Iterable, Mapping, Sequence
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
from rlx_sampler._ray.actor import News, Outcome, RayActor
from rlx_sampler._remote.failures import Failure, raised_by, rebuilt
from rlx_sampler._remote.supervision import LONGEST_WAIT, LifeSigns, Patience
from rlx_sampler._workers.setups import Setup

SECONDS_TO_START: Final = 60.0
"""Ray is allowed so much at least, whatever the workers are."""


@dataclass(slots=True)
class _Seat:
    """The place of one worker, and the actor that sits there now."""

    number: int
    actor: Any
    version: int = 0
    """The last update that the actor is known to have, and all before it."""
    update: Any = None
    """Reference to the newest update."""
    out: list[int] = field(default_factory=list[int])
    signs: LifeSigns = field(default_factory=LifeSigns)
    has_answered: bool = False
    """Whether the actor has started."""

    def look(self, pulse: int) -> None:
        """Note that the actor has taken `pulse` steps by now."""
        if self.has_answered:
            self.signs.look(pulse)
        else:
            self.has_answered = True
            self.signs.begin(pulse)


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
        self._patience = Patience(worker_timeout)
        # Not a core each, as other defaults would claim: more workers than cores, and a second sampler, have room.
        options = {"scheduling_strategy": "SPREAD", **actor_options}
        self._actor_class = self._ray.remote(max_concurrency=4, **options)(RayActor)
        self._version = 0
        self._round = 0
        self.profile = WorkerProfile()
        """What is known of the workers."""
        self.is_in_process = False
        self.environment: Any = None
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
        rows = self.profile.inference_rows
        return self._actor_class.remote(blueprint, number, self._probe, rows, self._version)

    def _ask_all(self, method: str, arguments: Sequence[Sequence[Any]] | None = None) -> list[Any]:
        """Call a method of every actor and wait for the answers.

        Raises:
            WorkerError: If there is no answer, or an error instead of one.
        """
        each = arguments or [()] * len(self._seats)
        timeout = max(self._patience.timeout, SECONDS_TO_START)
        asked = [
            getattr(seat.actor, method).remote(*given) for seat, given in zip(self._seats, each, strict=True)
        ]
        try:
            answers: list[Any] = self._ray.get(asked, timeout=timeout)
        except self._ray.exceptions.RayError as error:
            raise WorkerError(f"a worker did not answer {method}() within {timeout:g} s: {error}") from error
        for seat in self._seats:
            seat.has_answered = True
        return answers

    def use_inference_rows(self, inference_rows: int | None) -> None:
        """Let all workers call the policy with so many rows; None changes nothing."""
        if inference_rows not in (None, self.profile.inference_rows):
            self.profile = replace(self.profile, inference_rows=inference_rows)
            self._ask_all("use_inference_rows", [(inference_rows,)] * len(self._seats))

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
        self._patience.renew()
        self._round += 1
        running: dict[Any, _Seat] = {}
        try:
            while not ledger.is_enough:
                self._lease(call, ledger, running)
                ready, _ = self._ray.wait(list(running), num_returns=1, timeout=LONGEST_WAIT)
                for reference in ready:
                    self._take(running.pop(reference), reference, ledger)
                if self._patience.is_time_to_look():
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
                seat.signs.renew()
                task = seat.actor.run.remote(self._round, call, seat.out, *self._news(seat))
                running[task] = seat

    def _news(self, seat: _Seat) -> tuple[News, Any]:
        """Return what an actor may lack: nothing, the newest update, or all that led to it."""
        news = News(self._version, is_whole=seat.version < self._version - 1)
        if seat.version == self._version:
            return news, None
        if not news.is_whole:
            return news, seat.update
        self.has_lost = self.has_lost or self.profile.steps_per_key is not None
        return news, self._ray.put(packed(self._setups[seat.number], "worker"))

    def _take(self, seat: _Seat, reference: Any, ledger: Ledger) -> None:
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.RayActorError:
            self._replace(seat, ledger)
            return
        except self._ray.exceptions.RayError as problem:
            raise WorkerError(f"worker {seat.number} gave no answer: {problem}") from problem
        self._patience.renew()
        seat.version, seat.has_answered = outcome.version, True
        left = set(seat.out)
        for harvest in outcome.harvests:
            ledger.add_all(harvest, seat.number)
            left.difference_update(harvest.indices)
        if outcome.failure is not None:
            left.discard(_fail(seat, outcome.failure, ledger))
        ledger.give_back(left)

    def _replace(self, seat: _Seat, ledger: Ledger) -> None:
        self._patience.note_death(seat.number, seat.out)
        self.has_lost = self.has_lost or self.profile.steps_per_key is not None
        ledger.give_back(seat.out)
        self._seat_anew(seat)

    def _seat_anew(self, seat: _Seat) -> None:
        seat.actor, seat.version, seat.has_answered = self._start(seat.number), self._version, False

    def _check_life(self, call: CallKey, busy: Iterable[_Seat]) -> None:
        for seat in busy:
            with suppress(self._ray.exceptions.RayError):
                seat.look(self._ray.get(seat.actor.pulse.remote(), timeout=2 * LONGEST_WAIT))
            least = 0.0 if seat.has_answered else SECONDS_TO_START
            if seat.signs.seconds_silent > max(self._patience.timeout, least):
                self._ray.kill(seat.actor)
                self._seat_anew(seat)
                raise self._patience.stuck(seat.number, seat.out, call.call)

    def shutdown(self) -> None:
        """End all actors. Calling it twice is allowed; Ray itself stays as it is."""
        seats, self._seats = self._seats, []
        if not seats or not self._ray.is_initialized():
            return
        closing = [seat.actor.close.remote() for seat in seats]
        with suppress(self._ray.exceptions.RayError):
            self._ray.wait(closing, num_returns=len(closing), timeout=2 * LONGEST_WAIT)
        for seat in seats:
            self._ray.kill(seat.actor)


def _fail(seat: _Seat, failure: Failure, ledger: Ledger) -> int:
    """Tell `ledger` which episode failed, and return its index."""
    error = rebuilt(failure)
    if not isinstance(error, EpisodeError):
        raise raised_by(seat.number, failure)
    index = error.keys[0].episode
    ledger.fail(index, error)
    return index
