"""When a sampler gives up on its workers: one rule, and one wording, for all engines."""

import time
from collections.abc import Iterable
from typing import Final

from rlx_sampler._errors import WorkerError

MAX_DEATHS: Final = 3
LONGEST_WAIT: Final = 1.0
"""Seconds between two looks at what the workers do."""


class Patience:
    """Counts deaths in a row, and says which workers died or are stuck.

    Args:
        timeout: Seconds without a sign of life after which a worker counts as stuck.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._deaths = 0
        self._next_look = 0.0

    def renew(self) -> None:
        """Note that an episode has come back, or a call begins: earlier deaths do not count any more."""
        self._deaths = 0

    def note_death(self, worker: int, episodes: Iterable[int], *, how: str = "") -> None:
        """Count the death of a worker that had `episodes` to run.

        Raises:
            WorkerError: If it is one too many.
        """
        self._deaths += 1
        if self._deaths >= MAX_DEATHS:
            raise WorkerError(
                f"worker {worker} died{how}: {self._deaths} deaths in a row without a finished episode. It had "
                f"episodes {sorted(episodes)}: replay() of the sampler runs one in this process."
            )

    def is_time_to_look(self) -> bool:
        """Say whether to look for stuck workers now, which is rarely so."""
        now = time.monotonic()
        if now <= self._next_look:
            return False
        self._next_look = now + LONGEST_WAIT
        return True

    def stuck(self, worker: int, episodes: Iterable[int], call: int) -> WorkerError:
        """Return the error that says that a worker was stuck in one of `episodes`."""
        return WorkerError(
            f"worker {worker} took no step for {self.timeout:g} s in episodes {sorted(episodes)} of call {call}, "
            f"and was ended. Pass a larger worker_timeout if that is how long a step can take; replay() of the "
            f"sampler runs an episode in this process."
        )


class LifeSigns:
    """When a worker last showed that it is not stuck."""

    def __init__(self) -> None:
        self._pulse = 0
        self._last = time.monotonic()
        self.has_begun = False
        """Whether the worker has taken a step since `begin`."""

    def begin(self, pulse: int) -> None:
        """Note that the worker is about to get work, after `pulse` steps."""
        self._pulse, self.has_begun = pulse, False
        self.renew()

    def renew(self) -> None:
        """Note that the worker has just shown some life."""
        self._last = time.monotonic()

    def look(self, pulse: int) -> None:
        """Note that the worker has taken `pulse` steps by now."""
        if pulse != self._pulse:
            self._pulse, self.has_begun = pulse, True
            self.renew()

    @property
    def seconds_silent(self) -> float:
        """Seconds since the last sign of life."""
        return time.monotonic() - self._last
