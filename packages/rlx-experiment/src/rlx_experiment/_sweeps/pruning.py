"""The end of hopeless runs of a search, told from the rows that they log."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from rlx_experiment._runs.machine import host
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.jobs import Job


class Trial(NamedTuple):
    """A trial under way."""

    number: int
    job: Job
    live: Any
    """What takes reports and says whether to prune; None for a trial of an earlier search."""


class Pruning:
    """Reports the rows that runs log to their trials, and stops the runs of those that the study prunes."""

    POLL: Final = 1.0
    """Seconds from one look at the rows to the next."""

    def __init__(self, unfinished: Callable[[], list[Trial]], metric: str | None, pruned: set[int]) -> None:
        self._unfinished = unfinished
        self._metric = metric
        self._pruned = pruned
        self._reported: dict[int, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="rlx-pruning", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self.POLL):
            for trial in self._unfinished():
                if trial.number not in self._pruned:
                    with suppress(
                        OSError, ValueError, RuntimeError
                    ):  # it has ended meanwhile, or logs nothing yet
                        self._look_at(trial)

    def _look_at(self, trial: Trial) -> None:
        from rlx_experiment._reports.curves import choose_metric, read_curves

        status = read_status(trial.job.folder)
        if status.state != "running" or status.host != host():
            return
        curves = read_curves(trial.job.folder)
        steps, values = curves[choose_metric(curves, self._metric)]
        for step, value in list(zip(steps, values, strict=True))[self._reported.get(trial.number, 0) :]:
            trial.live.report(float(value), int(step))
        self._reported[trial.number] = len(steps)
        if trial.live.should_prune():
            self._pruned.add(trial.number)
            os.kill(status.pid, signal.SIGTERM)
