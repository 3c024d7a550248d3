"""Checks of a logger: the shape of a call, orderly ends, exact cuts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from rlx_protocols._logging import Logger
from rlx_protocols._stateful import Stateful
from rlx_protocols.testing._requirement import require, require_error

Rows = Sequence[tuple[int, Mapping[str, Any]]]


class _StatefulLogger(Logger, Stateful, Protocol):
    pass


def check_logger(make_logger: Callable[[], Logger]) -> None:
    """Check that a logger keeps the contract of `Logger`.

    Args:
        make_logger: Builds a logger; each call must give one with a place of its own.

    Raises:
        ConformanceError: If it does not; names the rule and what was seen.
    """
    logger = make_logger()
    data: dict[str, Any] = {"return": 1.5, "nested": {"count": 2}, "label": "text"}
    kept = {"return": 1.5, "nested": {"count": 2}, "label": "text"}
    logger.write("info/epoch", 0, data)
    require(data == kept, "write must leave its data as it was", data)
    for wrong in ("epoch", "a/b/c", ""):
        require_error(
            ValueError,
            f"step_type {wrong!r} is not 'scope/name' and must be a ValueError",
            partial(logger.write, wrong, 1, {"return": 1.0}),
        )
    logger.finalize()
    logger.finalize()


def check_logger_state(make_logger: Callable[[], _StatefulLogger], read: Callable[[], Rows]) -> None:
    """Check that a logger cut back to a position loses and doubles nothing.

    Args:
        make_logger: Builds a logger; all calls write to the same place.
        read: Returns what lies in that place, one (step, data) a row, the step's own column left out.

    Raises:
        ConformanceError: If the rows after a resume are not those of an unbroken run.
    """
    logger = make_logger()
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"return": float(epoch)})
    state = logger.state_dict()
    logger.write("info/epoch", 3, {"return": -1.0})
    logger.finalize()
    resumed = make_logger()
    resumed.load_state_dict(state)
    for epoch in range(3, 5):
        resumed.write("info/epoch", epoch, {"return": float(epoch)})
    resumed.finalize()
    rows = [(step, float(data["return"])) for step, data in read()]
    wanted = [(epoch, float(epoch)) for epoch in range(5)]
    require(rows == wanted, f"after a cut and two more rows there must be {wanted}", rows)
