"""Processors, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from rlx_logging._guard import Guards
from rlx_logging._rows.rows import Layout, Row

Processor: TypeAlias = Callable[[Row], Row | None]


class Chain:
    """Hands a row from processor to processor; a failing one costs a warning, and leaves the row as it is.

    Args:
        processors: Each returns the row that the next one gets, or None to drop it.
        reraise: Let failures through.
    """

    def __init__(self, processors: Iterable[Processor], *, reraise: bool) -> None:
        self.guards: Guards[Processor] = Guards(reraise=reraise)
        for processor in processors:
            self.guards.add(processor, type(processor).__name__)
        self._empty = not self.guards
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def __call__(self, row: Row) -> Row | None:
        """Return what is left of a row; its layout is the same object whenever its names are the same."""
        if self._empty:
            return row
        for guard in self.guards:
            try:
                processed = guard.target(row)
            except Exception as error:  # noqa: BLE001 - logging must not end training
                guard.failed("process a row", error)
                continue
            if processed is None:
                return None
            row = processed
        layout = row.layout
        names = (layout.scope, layout.step_name, *layout.keys)
        return row._replace(layout=self._layouts.setdefault(names, layout))
