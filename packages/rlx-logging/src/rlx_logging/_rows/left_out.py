"""What is left out of the logs, said once."""

from __future__ import annotations

from rlx_logging._errors import NotANumberWarning
from rlx_logging._warn import warn


class LeftOut:
    """Remembers the keys of values that are no numbers, and warns of each once."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._new: dict[str, str] = {}

    def note(self, key: str, value: object) -> None:
        """Remember a value that is left out."""
        if key not in self._known:
            self._known.add(key)
            self._new[key] = type(value).__name__

    def warn(self) -> None:
        """Warn of what was noted since the last time, by key and type."""
        if self._new:
            new, self._new = self._new, {}
            named = ", ".join(f"{key!r} ({name})" for key, name in new.items())
            warn(f"left out of the logs, as it is no number: {named}.", NotANumberWarning)
