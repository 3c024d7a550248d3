"""A worker that runs elsewhere, as the sampler sees it: one protocol for processes and actors."""

import time
from abc import ABC, abstractmethod
from typing import ClassVar

from rlx_sampler._keys import CallKey


class Heartbeat:
    """When a worker last showed that it is not stuck."""

    def __init__(self) -> None:
        self._steps: int = 0
        self._last = time.monotonic()
        self.has_begun = False
        """Whether the worker has taken a step since `begin`."""

    def begin(self, steps: int) -> None:
        """Note that the worker is about to get work, after `steps` steps."""
        self._steps, self.has_begun = steps, False
        self.renew()

    def renew(self) -> None:
        """Note that the worker has just shown some life."""
        self._last = time.monotonic()

    def look(self, steps: int) -> None:
        """Note that the worker has taken `steps` steps by now."""
        if steps != self._steps:
            self._steps, self.has_begun = steps, True
            self.renew()

    @property
    def seconds_silent(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._last


class RemoteWorker(ABC):
    """What a coordinator knows of one worker, and what it can do with it.

    Args:
        number: Which of the sampler's workers it is.
    """

    queues_before_ready: ClassVar[bool] = False
    """Whether episodes can be submitted before the worker is ready, and wait there."""
    least_seconds_to_start: ClassVar[float] = 0.0
    """Seconds that it is allowed for its start, even where `worker_timeout` is less."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.leased: set[int] = set()
        """Indices of the episodes that the worker has and that are not back."""
        self.is_ready = False
        """Whether the worker is built."""
        self.wants_more = self.queues_before_ready
        """Whether the worker takes more episodes."""
        self.heartbeat = Heartbeat()
        """What the worker has shown of itself since the present call began."""

    def begin_round(self) -> None:
        """Note that a sampling call begins: nothing that was leased before it counts."""
        self.leased.clear()
        self.wants_more = self.is_ready or self.queues_before_ready
        self.heartbeat.begin(self.steps_taken())

    def is_stuck(self, timeout: float) -> bool:
        """Whether the worker has work, and has given no sign of life for `timeout` seconds."""
        self.heartbeat.look(self.steps_taken())
        is_at_work = bool(self.leased) or not self.is_ready
        allowed = timeout if self.is_ready else max(timeout, self.least_seconds_to_start)
        return is_at_work and self.heartbeat.seconds_silent > allowed

    @abstractmethod
    def submit(self, round_number: int, call: CallKey, indices: list[int]) -> None:
        """Let the worker run episodes of a call, after those that it has."""

    @abstractmethod
    def steps_taken(self) -> int:
        """Return a count of steps that grows while the worker is not stuck; never waits for the worker."""

    @abstractmethod
    def stop(self, round_number: int) -> None:
        """Let the worker drop what it still has of a round."""

    @abstractmethod
    def how_it_ended(self) -> str:
        """Return what is known of the end of a dead worker."""

    @abstractmethod
    def kill(self) -> None:
        """End the worker at once."""

    @abstractmethod
    def close(self) -> None:
        """End the worker at once and give back what belongs to it."""
