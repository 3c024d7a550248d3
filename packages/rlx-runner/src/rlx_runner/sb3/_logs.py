"""The logs of SB3's own loggers, as a part of the run."""

from collections.abc import Mapping
from typing import Any

from rlx_runner._clients.events import EventFiles
from rlx_runner._clients.texts import TextLogs
from rlx_runner._exactness import Exactness, Grade
from rlx_runner._offers import offered, stateful


class Logs:
    """Files that SB3 writes, and values that are recorded and not dumped yet."""

    def __init__(self) -> None:
        self._logger: Any = None
        self._texts = TextLogs(())
        self._events: list[EventFiles] = []
        self._unknown: list[str] = []

    def attach(self, logger: Any, monitors: list[Any]) -> None:
        """Take the outputs of `logger` and the files of `monitors` for those of the run."""
        outputs: list[Any] = [] if logger is None else list(logger.output_formats)
        texts = [output for output in outputs if _writes_text(output)]
        events = [output for output in outputs if offered(output, "writer") is not None]
        self._logger = logger
        self._texts = TextLogs([*texts, *monitors])
        self._events = [EventFiles(output) for output in events]
        known = [*texts, *events, *filter(_is_human, outputs), *filter(stateful, outputs)]
        self._unknown = [
            type(output).__qualname__ for output in outputs if not any(output is each for each in known)
        ]

    @property
    def exactness(self) -> Exactness:
        """How exactly the logs continue."""
        exactness = Exactness()
        for name in self._unknown:
            reason = (
                f"{name} has no position to go back to: what it writes after the snapshot is written twice"
            )
            exactness = exactness.lowered(Grade.SAME_STREAMS, reason)
        return exactness

    def state_dict(self) -> dict[str, Any]:
        """Return contents, sizes and values that wait for the next dump."""
        return {
            "texts": self._texts.state(),
            "events": [events.state() for events in self._events],
            "recorded": [dict(values) for values in self._recorded],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Make the files and the recorded values what they were."""
        self._texts.load(state["texts"])
        for events, saved in zip(self._events, state["events"], strict=False):
            events.load(saved)
            self._logger.dir = events.folder
        for values, recorded in zip(self._recorded, state["recorded"], strict=False):
            values.clear()
            values.update(recorded)

    @property
    def _recorded(self) -> list[Any]:
        logger = self._logger
        if logger is None:
            return []
        return [logger.name_to_value, logger.name_to_count, logger.name_to_excluded]


def _is_human(output: Any) -> bool:
    return offered(output, "own_file") is not None


def _writes_text(output: Any) -> bool:
    """Whether `output` has a file of its own: a table for people may go to the terminal instead."""
    return offered(output, "file") is not None and offered(output, "own_file") is not False
