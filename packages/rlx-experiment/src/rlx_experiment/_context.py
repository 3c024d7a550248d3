"""What an experiment function is given: where it runs and what it is asked to do."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rlx_experiment._missing import require
from rlx_experiment._runs.signals import StopRequest

if TYPE_CHECKING:
    from rlx_experiment._runs.run import Run

SNAPSHOT_MODES: Final = ("all", "last", "gap", "gap_and_last", "gap_overwrite", "none")


class ExperimentContext:
    """Context in which an experiment is being run.

    Fits wherever a snapshot configuration is wanted. Built by hand, it belongs to no run and is never asked to stop.

    Args:
        snapshot_dir: Folder of the run; snapshots, logs and records lie there.
        snapshot_mode: Which iterations are saved: 'all', 'last', 'gap', 'none' (or 'gap_and_last', 'gap_overwrite').
        snapshot_gap: Iterations from one numbered snapshot to the next.
        run: The run that this context belongs to.
        resuming: See the attribute.
        stop: Where requests to stop arrive.
        rank: Number of this process among several learner processes; rank 0 records the run and has the logger.
    """

    def __init__(
        self,
        *,
        snapshot_dir: str,
        snapshot_mode: str,
        snapshot_gap: int,
        run: "Run | None" = None,
        resuming: bool = False,
        stop: StopRequest | None = None,
        rank: int = 0,
    ) -> None:
        check_snapshot_options(snapshot_mode, snapshot_gap)
        self.snapshot_dir = snapshot_dir
        self.snapshot_mode = snapshot_mode
        self.snapshot_gap = snapshot_gap
        self.run = run
        self.resuming = resuming
        """Whether the folder holds an earlier attempt at this same run, which may have left a snapshot."""
        self._rank = rank
        self._stop = stop or StopRequest()
        self._stop_noticed = False
        self._complete = False
        self._loggers: list[Any] = []

    @property
    def stop_requested(self) -> bool:
        """Whether a signal (SIGINT, SIGTERM, SIGUSR1) or a launcher has asked the run to stop.

        A function that sees True should save and return soon. Having seen it, it counts as stopped when it returns,
        unless it says `complete`.
        """
        self._stop_noticed = self._stop_noticed or self._stop.requested
        return self._stop.requested

    def complete(self) -> None:
        """Say that the run's work is done, so that it counts as finished although a stop was noticed."""
        self._complete = True

    def logger(self, name: str | Sequence[str] = "csv", *more: str, **options: Any) -> Any:
        """Return a logger that writes into this run's folder; it is finalized when the experiment ends.

        Of several learner processes rank 0 writes; the loggers of the others leave everything out.

        Args:
            name: 'csv', 'tensorboard', 'wandb', 'none' or another that `rlx_logging.make_logger` knows,
                or several.
            more: Further names.
            options: Passed on to `rlx_logging.make_logger`.

        Raises:
            MissingExtraError: rlx-logging is not installed: ``pip install 'rlx-experiment[logging]'``.
        """
        rlx_logging = require("rlx_logging", "logging", "ctxt.logger()")
        folder = self.run.path if self.run else Path(self.snapshot_dir)
        names = [*([name] if isinstance(name, str) else name), *more] if more else name
        made = (
            rlx_logging.LazyLogger()
            if self._rank
            else rlx_logging.make_logger(names, log_dir=str(folder), **options)
        )
        self._loggers.append(made)
        return made

    def was_stopped(self) -> bool:
        """Return whether the function noticed a request to stop and did not say that it was complete."""
        return self._stop_noticed and not self._complete

    def finalize(self) -> None:
        """Finalize the loggers that were made here; called when the experiment ends."""
        with ExitStack() as stack:  # each is finalized, whatever becomes of the others
            while self._loggers:
                stack.callback(self._loggers.pop(0).finalize)


def check_snapshot_options(mode: object, gap: object) -> None:
    """Raise ValueError unless `mode` is a snapshot mode and `gap` an integer of at least 1."""
    if mode not in SNAPSHOT_MODES:
        raise ValueError(f"snapshot_mode is {mode!r}; it must be one of {', '.join(SNAPSHOT_MODES)}")
    if not isinstance(gap, int) or isinstance(gap, bool) or gap < 1:
        raise ValueError(f"snapshot_gap is {gap!r}; it must be an integer of at least 1")
