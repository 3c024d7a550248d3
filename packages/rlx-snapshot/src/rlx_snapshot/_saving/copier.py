"""Taking a copy of a state in as little time as possible."""

from collections.abc import Sequence

from rlx_snapshot._format.layout import Buffer
from rlx_snapshot._format.stream import capture
from rlx_snapshot._saving.arena import Arena, Copied
from rlx_snapshot._saving.dirty_pages import ChangeTracker, NoTracker, tracker_for


class Copier:
    """Copies one state after the other into the same memory, and of large arrays only what changed."""

    def __init__(self, incremental: str) -> None:
        self._incremental = incremental
        self._tracker: ChangeTracker = NoTracker()
        self._arena: Arena | None = None
        self._buffers: Sequence[Buffer] = ()

    def copy_if_room(self, state: object) -> Copied | None:
        """A copy that is valid until the next call, and that nothing but the next call changes.

        None where there is no memory for it; the next copy then starts again.
        """
        try:
            return self._copy_of(state)
        except (MemoryError, OSError):
            self.release()
            return None

    def release(self) -> None:
        """Give the memory back and stop tracking; the next copy starts again."""
        self._arena = None
        self._tracker.close()
        self._tracker = NoTracker()

    def _copy_of(self, state: object) -> Copied:
        if self._arena is None:
            self._tracker = tracker_for(self._incremental)
            self._arena = Arena(self._tracker)
        captured = capture(state, None if self._incremental == "never" else self._buffers)
        self._buffers = captured.buffers
        return self._arena.copy_of(captured)
