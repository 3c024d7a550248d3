"""How long a check has taken, whatever else the machine does."""

import time
from pathlib import Path
from typing import Final

SCHEDULING: Final = Path("/proc/thread-self/schedstat")
"""Where Linux says, in nanoseconds, how long this thread has run and how long it has waited for a core."""
STEPS_BETWEEN_LOOKS: Final = 8


class OutOfTimeError(Exception):
    """The check has taken as long as it may."""


class Deadline:
    """The time until which a check may run; what it waits for a core, on a machine with other work, does not count.

    Args:
        seconds: How long it may run from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._end = _seconds_of_its_own() + seconds
        self._n_asked = 0

    def check(self) -> None:
        """Let the check continue.

        Raises:
            OutOfTimeError: If it may not.
        """
        self._n_asked += 1
        if self._n_asked % STEPS_BETWEEN_LOOKS == 1 and _seconds_of_its_own() > self._end:
            raise OutOfTimeError


def _seconds_of_its_own() -> float:
    try:
        waited = int(SCHEDULING.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # not on Linux, or not told
        waited = 0.0
    return time.monotonic() - waited
