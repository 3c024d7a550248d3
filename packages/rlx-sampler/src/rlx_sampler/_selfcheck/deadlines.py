"""How long a check has taken, whatever else the machine does."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SCHEDULING: Final = Path("/proc/thread-self/schedstat")
"""Where Linux says, in nanoseconds, how long this thread has run and how long it has waited for a core."""


class OutOfTimeError(Exception):
    """The check has taken as long as it may."""


class Deadline:
    """The time until which a check may run; what it waits for a core, on a machine with other work, does not count.

    Args:
        seconds: How long it may run from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._earliest = time.monotonic() + seconds
        """When it is over if nothing was waited for: until then nobody needs to look how long that was."""
        self._end = _seconds_of_its_own() + seconds

    @contextmanager
    def paused(self) -> Generator[None]:
        """Let what happens meanwhile not count."""
        begin, own = time.monotonic(), _seconds_of_its_own()
        try:
            yield
        finally:
            self._earliest += time.monotonic() - begin
            self._end += _seconds_of_its_own() - own

    def check(self) -> None:
        """Let the check continue.

        Raises:
            OutOfTimeError: If it may not.
        """
        if time.monotonic() > self._earliest and _seconds_of_its_own() > self._end:
            raise OutOfTimeError


def _seconds_of_its_own() -> float:
    try:
        waited = int(SCHEDULING.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):  # not on Linux, or not told
        waited = 0.0
    return time.monotonic() - waited
