"""State that a snapshot carries: the torch convention of two methods."""

from collections.abc import Mapping
from typing import Any, Protocol


class ExactnessLike(Protocol):
    """How a resumed run compares with one that was never interrupted."""

    @property
    def grade(self) -> str:
        """One of "A": the same bits; "B": the same random streams; "C": statistically the same."""
        ...

    @property
    def reason(self) -> str:
        """Why, in words."""
        ...


class Graded(Protocol):
    """A stateful part that knows how exactly its state continues."""

    def exactness(self) -> ExactnessLike:
        """Return the grade of the state as it is now."""
        ...


class Stateful(Protocol):
    """Anything whose state a snapshot carries so that a resumed run continues exactly."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs, as plain picklable values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> object:
        """Continue from `state`, as if nothing had happened since it was taken."""
        ...
