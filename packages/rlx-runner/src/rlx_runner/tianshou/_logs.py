"""The logs of tianshou's own loggers, as a part of the run."""

from collections.abc import Mapping
from typing import Any

from rlx_runner._clients.events import EventFiles
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._offers import offered, stateful

_LAST_LOGGED = "last_log"
"""Begins the names of attributes in which a logger remembers when it has logged last."""


class Logs:
    """Event files, and the steps of the last rows, by which a logger decides which rows to write.

    Args:
        logger: The trainer's logger. One that has a state of its own is the checkpoint's.
    """

    def __init__(self, logger: Any) -> None:
        is_known = logger is None or stateful(logger) is not None
        self._fields: dict[str, Any] = {} if is_known else vars(logger)
        writes_events = not is_known and offered(offered(logger, "writer"), "log_dir") is not None
        self._events = EventFiles(logger) if writes_events else None
        is_lazy = type(logger).__name__ == "LazyLogger"
        self._unknown = "" if is_known or is_lazy or writes_events else type(logger).__qualname__

    @property
    def exactness(self) -> Exactness:
        """How exactly the logs continue."""
        if not self._unknown:
            return Exactness()
        reason = f"{self._unknown} has no position to go back to: rows after the snapshot are written twice"
        return Exactness().lowered(Grade.SAME_STREAMS, reason)

    def state_dict(self) -> dict[str, Any]:
        """Return the files with their sizes, and the steps of the last rows."""
        return {
            "events": None if self._events is None else self._events.state(),
            "gates": {name: step for name, step in self._fields.items() if _is_gate(name)},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Cut the files, and have the next rows decided as after the snapshot."""
        if self._events is not None and state["events"] is not None:
            self._events.load(state["events"])
        self._fields.update(state["gates"])


def _is_gate(name: str) -> bool:
    return name.startswith((_LAST_LOGGED, "last_save"))
