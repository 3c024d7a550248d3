"""The failures of one backend or logger kept from training and from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Generic, TypeVar

from rlx_logging._errors import DroppedRowsWarning
from rlx_logging._warn import warn

Target = TypeVar("Target")


class Guard(Generic[Target]):
    """Calls a backend or logger; a failure costs one warning, later ones are only counted.

    Args:
        target: What is called.
        name: What warnings call it.
        reraise: Let failures through, for those who want training to stop.
    """

    def __init__(self, target: Target, name: str, *, reraise: bool = False) -> None:
        self.target = target
        self.name = name
        self.dropped = 0
        self._reraise = reraise
        self._warned = False

    def __call__(self, what: str, call: Callable[[Target], object]) -> None:
        """Call `call` with the target."""
        try:
            call(self.target)
        except Exception as error:  # noqa: BLE001 - logging must not end training
            self.failed(what, error)

    def failed(self, what: str, error: Exception) -> None:
        """Count a failure, and warn of the first; or let it through."""
        if self._reraise:
            raise error
        self.dropped += 1
        if not self._warned:
            self._warned = True
            warn(
                f"{self.name}: could not {what} ({type(error).__name__}: {error}); training continues. "
                "What is dropped is counted and reported when the logger is finalized.",
                DroppedRowsWarning,
            )

    def report(self) -> None:
        """Warn of everything that was dropped since the last report."""
        if self.dropped > 1:
            warn(f"{self.name}: {self.dropped} calls were dropped in all.", DroppedRowsWarning)
        self.dropped = 0


class Guards(Generic[Target]):
    """Several guarded backends, called one after the other."""

    def __init__(self, *, reraise: bool) -> None:
        self._reraise = reraise
        self._guards: list[Guard[Target]] = []

    def add(self, target: Target, name: str) -> None:
        """Guard one more; a second one of a name is numbered."""
        taken = [guard.name for guard in self._guards]
        count = 1
        while (name if count == 1 else f"{name}-{count}") in taken:
            count += 1
        name = name if count == 1 else f"{name}-{count}"
        self._guards.append(Guard(target, name, reraise=self._reraise))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._guards)

    def __iter__(self) -> Iterator[Guard[Target]]:
        """Iterate over the guards."""
        return iter(self._guards)

    def each(self, what: str, call: Callable[[Target], object]) -> None:
        """Call `call` with every target."""
        for guard in self._guards:
            guard(what, call)

    def each_named(self, what: str, call: Callable[[str, Target], object]) -> None:
        """Call `call` with the name of every target and itself."""
        for guard in self._guards:
            guard(what, partial(call, guard.name))

    def on_disk(self, what: str, call: Callable[[], object]) -> None:
        """Do something with the files that all share; a failure counts for the first."""
        try:
            call()
        except OSError as error:
            for guard in self._guards[:1]:
                guard.failed(what, error)

    def report(self) -> None:
        """Warn of everything that was dropped since the last report."""
        for guard in self._guards:
            guard.report()
