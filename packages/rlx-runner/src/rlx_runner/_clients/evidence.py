"""What stands behind the grade of a run in a client's hands: its first steps, done twice from one saved state."""

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from rlx_runner._checkpoint.compare import differences
from rlx_runner._checkpoint.content import Content
from rlx_runner._checkpoint.selfcheck import described
from rlx_runner._errors import IncompleteCheckpointError
from rlx_runner._exactness import Exactness, Grade
from rlx_snapshot import exact_copy

_CLOCKS: Final = re.compile(r"\['t'\]$|\.t_start$|speed")
"""Readings of clocks in SB3's monitors and in tianshou's statistics."""


class Evidence:
    """Says with the grade what was checked, in each snapshot.

    Args:
        unit: What steps of the client are called, in the plural.
    """

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self.steps = 0

    @property
    def exactness(self) -> Exactness:
        """Grade A, with what it rests on."""
        reason = (
            f"{self.steps} {self._unit} done twice came to the same"
            if self.steps
            else f"not checked for state outside of the snapshot, as check=1 does by {self._unit} done twice"
        )
        return Exactness().lowered(Grade.BITWISE, reason)

    def state_dict(self) -> dict[str, int]:
        """Return how many steps were done twice."""
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take over what an earlier process has checked."""
        self.steps = state["steps"]


def do_twice(
    n: int, content: Content, names: tuple[str, ...], set_aside: Callable[[], AbstractContextManager[None]]
) -> Generator[None]:
    """Yield where a step is to be done: `n` steps twice from one saved state, and compare what both passes come to.

    Args:
        n: Steps of each pass.
        content: All of the run.
        names: What is compared; the rest counts by what it leads to.
        set_aside: Keeps what is bound to the process out of the content meanwhile.

    Raises:
        IncompleteCheckpointError: If the passes differ; names what does.
    """
    with set_aside():
        before = exact_copy(content.state(0))
    for _ in range(n):
        yield
    with set_aside():
        once = _observed(content, names)
        content.return_to(before)
    for _ in range(n):
        yield
    with set_aside():
        again = _observed(content, names)
    found = [path for name in once for path in differences(name, once[name], again[name])]
    different = [path for path in found if not _CLOCKS.search(path)]
    if different:
        raise IncompleteCheckpointError(
            f"{n} steps, done twice from one saved state, ended differently: {described(different)}. Something that is not "
            "in the snapshot changes the run: look for state in modules and classes, in variables of functions, and for "
            "readings of clocks.",
            [],
        )


def _observed(content: Content, names: tuple[str, ...]) -> dict[str, Any]:
    values = content.values()
    observed: dict[str, Any] = exact_copy({name: values[name] for name in (*names, "random states")})
    return observed
