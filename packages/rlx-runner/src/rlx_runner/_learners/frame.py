"""What every run has around it, whoever drives the loop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rlx_protocols import SnapshotConfigLike, SnapshotStore
from rlx_runner._display import Display, choose_display
from rlx_runner._learners.group import group_of_this_process
from rlx_runner._offers import stop_asked_of
from rlx_runner._snapshots import Snapshots
from rlx_runner._stop import StopSwitch


@dataclass(frozen=True)
class Frame:
    """Snapshots, requests to stop and a display, in agreement with the processes that train together."""

    snapshots: Snapshots
    stop: StopSwitch
    display: Display

    @classmethod
    def around(
        cls,
        config: SnapshotConfigLike | None,
        store: SnapshotStore | None,
        logger: Any,
        *,
        stop_requested: Callable[[], bool] | None,
        on_durable: Callable[[int], object] | None,
        progress: bool | None,
    ) -> "Frame":
        """Return the frame of a run; only the first of several processes has a display.

        Args:
            config: Where and how snapshots are kept.
            store: Where states go; None: files in the configured directory.
            logger: Told which snapshots are durable.
            stop_requested: Asked whether to stop; None: the context in `config` is, or signals are listened to.
            on_durable: Called with each number that is durable.
            progress: False for silence.
        """
        group = group_of_this_process()
        asked = stop_asked_of(config) if stop_requested is None else stop_requested
        return cls(
            Snapshots(config, store, logger, group=group, on_durable=on_durable),
            StopSwitch(asked, group=group),
            choose_display(progress if group.rank == 0 else False),
        )
