"""One actor of Ray, seen from the sampler."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rlx_sampler._keys import CallKey
from rlx_sampler._ray.actor import Outcome, Update
from rlx_sampler._remote.worker import RemoteWorker


class ActorWorker(RemoteWorker):
    """An actor and what it has been given to do.

    Args:
        number: Which of the sampler's workers it is.
        ray: The module.
        actor: Handle of the actor.
        version: The last update that the actor is built with.
        put_setup: Puts all that led to the newest update where worker `number` can read it.
    """

    queues_before_ready = True
    least_seconds_to_start = 60.0

    def __init__(
        self, number: int, ray: Any, actor: Any, version: int, put_setup: Callable[[int], Any]
    ) -> None:
        super().__init__(number)
        self._ray = ray
        self._put_setup = put_setup
        self.actor = actor
        self.version = version
        """The last update that the actor is known to have, and all before it."""
        self.newest = version
        """The newest update."""
        self.update: Any = None
        """Reference to the newest update."""
        self.task: Any = None
        """Reference to what will come of the episodes that the actor has."""
        self._death = "no answer"
        self._round_number = -1
        self._steps = 0
        self._asked: Any = None
        """Reference to the answer on how many steps there were, where the actor was asked."""

    def begin_round(self) -> None:
        """Note that a sampling call begins."""
        self.task = self._asked = None
        super().begin_round()

    def submit(self, round_number: int, call: CallKey, indices: list[int]) -> None:
        """Let the actor run episodes, with what it may lack of the updates."""
        if round_number != self._round_number:
            self._round_number, self._steps, self._asked = round_number, 0, None
            self.heartbeat.begin(0)
        update = Update(self.newest, is_whole=self.version < self.newest - 1)
        if self.version == self.newest:
            content = None
        else:
            content = self._put_setup(self.number) if update.is_whole else self.update
        self.task = self.actor.run.remote(round_number, call, indices, update, content)

    def outcome(self) -> Outcome | None:
        """Return what came of the episodes; None if the actor died.

        Raises:
            ray.exceptions.RayError: If Ray has another reason to give no answer.
        """
        task, self.task = self.task, None
        try:
            outcome: Outcome = self._ray.get(task)
        except self._ray.exceptions.RayActorError as error:
            self._death = str(error).partition("\n")[0]
            return None
        self.version, self.is_ready = outcome.version, True
        return outcome

    def steps_taken(self) -> int:
        """Return how many steps of the present round there were when the actor last answered."""
        with suppress(
            self._ray.exceptions.RayError
        ):  # a dead actor is met where its episodes should come from
            if self._asked is not None and self._ray.wait([self._asked], timeout=0)[0]:
                asked, self._asked = self._asked, None
                self._steps = self._ray.get(asked)
                if not self.is_ready:
                    self.is_ready = True
                    self.heartbeat.renew()
            if self._asked is None and (self.task is not None or not self.is_ready):
                self._asked = self.actor.steps_taken.remote(self._round_number)
        return self._steps

    def stop(self, round_number: int) -> None:
        """Let the actor drop what it still has of a round."""
        self.actor.stop.remote(round_number)

    def how_it_ended(self) -> str:
        """Return what Ray says of the death."""
        return self._death

    def kill(self) -> None:
        """End the actor at once."""
        self._ray.kill(self.actor)

    def close(self) -> None:
        """End the actor at once."""
        self.kill()
