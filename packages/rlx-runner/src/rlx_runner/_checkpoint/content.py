"""What a checkpoint saves: parts, variables, logs and random states, gathered and given back in the right order."""

from collections.abc import Callable, Mapping
from typing import Any

from rlx_runner._checkpoint.parts import Parts
from rlx_runner._checkpoint.variables import Variables
from rlx_runner._commit import gather, rewind_logs
from rlx_runner._exactness import Grade
from rlx_runner._offers import graded, stateful
from rlx_runner._random import get_seed, restore_random

NO_POSITION = "the logger has no position to go back to: rows after the snapshot are written twice"


class Content:
    """Everything of a run that changes from step to step.

    Args:
        parts: Objects by name.
        logger: Where rows go; None: nowhere.
    """

    def __init__(self, parts: Mapping[str, Any], logger: Any) -> None:
        self.parts = Parts(parts)
        self.variables: Variables[Any] | None = None
        self._logger = logger

    def carry(self, get: Callable[[], Any]) -> None:
        """Save what `get` returns, too."""
        self.variables = Variables(get)

    @property
    def names(self) -> tuple[str, ...]:
        """The variables that are saved, where they can be set by name."""
        return () if self.variables is None else self.variables.names

    def state(self, steps_done: int) -> dict[str, Any]:
        """Return the content of a snapshot; flushes the logs. It shares the parts' memory."""
        parts: dict[str, Any] = {}
        variables: list[Any] = []

        def gathered() -> dict[str, Any]:
            parts.update(self.parts.state())
            variables.append(None if self.variables is None else self.variables.read())
            return {"seed": get_seed(), "reasons": self._reasons()}

        exact = gather(self._logger, gathered)
        return {"steps_done": steps_done, "parts": parts, "variables": variables[0], "exact": exact}

    def values(self) -> dict[str, Any]:
        """Return what must be the same after the same steps."""
        state = self.state(0)
        parts = {name: part.get("object", part.get("state_dict")) for name, part in state["parts"].items()}
        return {**parts, "variables": state["variables"], "random states": state["exact"]["random"]}

    def return_to(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state` returned, a copy of it, in this process."""
        values = self.parts.give_back(state["parts"], state["variables"], strict=False)
        if self.variables is not None:
            self.variables.assign(values)
        rewind_logs(self._logger, state["exact"]["logger"] or None, from_dir="", own_dir="")
        restore_random(state["exact"]["random"])

    def held(self) -> tuple[list[Any], list[Any]]:
        """Return objects that are saved with all that they refer to, and those that say themselves what is saved."""
        whole = [saved["object"] for saved in self.parts.state().values() if "object" in saved]
        return whole, [*self.parts, self._logger]

    def _reasons(self) -> list[tuple[str, str]]:
        known = [part for part in self.parts if stateful(part) is not None and graded(part) is not None]
        reasons = [
            (part.exactness.grade.value, reason) for part in known for reason in part.exactness.reasons
        ]
        if self._logger is None or stateful(self._logger) is not None:
            return reasons
        return [*reasons, (Grade.SAME_STREAMS.value, NO_POSITION)]
