"""Backends that were off for a part of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rlx_logging._backend import Backend
from rlx_logging._errors import GapWarning
from rlx_logging._guard import Guard
from rlx_logging._warn import warn


def warn_of_gaps(guards: Iterable[Guard[Backend]], state: Mapping[str, Any]) -> None:
    """Warn of every backend that keeps rows and was not there when those before `state` were logged."""
    for guard in guards:
        known = state.get("backends", (guard.name,))
        if guard.target.may_lack_rows and state.get("files") and guard.name not in known:
            warn(
                f"{guard.name} was not among the backends that logged the rows before this snapshot, and does "
                "not get them now; the journal has them (read_metrics, rlx-logging export).",
                GapWarning,
            )
