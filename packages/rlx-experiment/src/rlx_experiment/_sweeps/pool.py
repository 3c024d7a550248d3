"""A sweep on this machine: processes forked from one that has the imports behind it."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from rlx_experiment._checks import check_count
from rlx_experiment._experiment import Experiment
from rlx_experiment._runs.signals import StopRequest
from rlx_experiment._sweeps.jobs import Job, OnEnd, may_be_tried_again, pack_job
from rlx_experiment._sweeps.processes import ForkServer, Spawner


@dataclass(frozen=True, kw_only=True)
class Local:
    """Runs jobs on this machine, as many at once as there is room for.

    A free place takes the next job at once. A job that dies, or that memory, devices, files or connections fail, is tried
    again; an error of its code and arguments would come again, and ends it. SIGTERM and SIGINT are passed on to all
    jobs, which stop at their next good moment, and no further ones start.

    Args:
        jobs: Jobs at once; 'auto' for one a GPU, or without GPUs one a CPU.
        gpus: GPUs, as CUDA_VISIBLE_DEVICES names them, each job sees one of; 'auto' for all that are visible here, ()
            for none, and jobs see what this process sees.
        retries: How often a job that failed is tried again.
        fork: Whether jobs are forked from one process that has imported the experiment, rather than each importing it.
            Off on Windows, which cannot; turn it off for launchers whose imports start threads.
    """

    jobs: int | Literal["auto"] = "auto"
    gpus: Sequence[str | int] | Literal["auto"] = "auto"
    retries: int = 1
    fork: bool = sys.platform != "win32"

    def __post_init__(self) -> None:
        if self.jobs != "auto":
            check_count("jobs", self.jobs, at_least=1)
        check_count("retries", self.retries, at_least=0)

    def run(self, template: Experiment, jobs: Iterable[Job], on_end: OnEnd) -> None:
        """Run `jobs` of `template` to their ends; each is asked for when there is a free place for it."""
        gpus = visible_gpus() if self.gpus == "auto" else [str(gpu) for gpu in self.gpus]
        places = (len(gpus) or os.cpu_count() or 1) if self.jobs == "auto" else self.jobs
        packed = (pack_job(template, job) for job in jobs)
        with StopRequest() as stop, ForkServer() if self.fork else Spawner() as server:
            _Schedule(packed, places, gpus, self.retries, server, on_end).run(stop)


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use: CUDA_VISIBLE_DEVICES, or all that the driver shows."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu.strip() for gpu in named.split(",") if gpu.strip() not in ("", "-1")]
    return [str(i) for i in range(len(list(Path("/proc/driver/nvidia/gpus").glob("*"))))]


class _Slot(NamedTuple):
    """Room for one job, with its GPU if there are any."""

    number: int
    gpu: str | None


class _Schedule:
    """Who runs where and when: hands jobs to free places until none is left."""

    def __init__(
        self,
        packed: Iterator[bytes],
        places: int,
        gpus: Sequence[str],
        retries: int,
        server: "ForkServer | Spawner",
        on_end: OnEnd,
    ) -> None:
        self._more = enumerate(packed)
        self._packed: dict[int, bytes] = {}
        self._again: list[int] = []
        self._free = [_Slot(i, gpus[i % len(gpus)] if gpus else None) for i in reversed(range(places))]
        self._running: dict[int, _Slot] = {}
        self._tries: dict[int, int] = {}
        self._retries = retries
        self._server = server
        self._on_end = on_end

    def run(self, stop: StopRequest) -> None:
        """Run until every job has ended, or those under way have, after a request to stop."""
        told = False
        while True:
            if stop.requested and not told:
                self._server.stop_jobs()
                told = True
            while self._free and not stop.requested and (index := self._next()) is not None:
                self._start(index)
            if not self._running:
                return
            ended = self._server.next_end(timeout=0.2)
            if ended is not None:
                self._end(*ended)

    def _next(self) -> int | None:
        """Return a job to start: one that is tried again, or the next one; None if there is none."""
        if self._again:
            return self._again.pop()
        for index, packed in self._more:
            self._packed[index] = packed
            return index
        return None

    def _start(self, index: int) -> None:
        place = self._running[index] = self._free.pop()
        self._tries[index] = self._tries.get(index, 0) + 1
        environment = {} if place.gpu is None else {"CUDA_VISIBLE_DEVICES": place.gpu}
        self._server.start(index, self._packed[index], environment)

    def _end(self, index: int, code: int) -> None:
        self._free.append(self._running.pop(index))
        if may_be_tried_again(code) and self._tries[index] <= self._retries:
            self._again.append(index)
        else:
            del self._packed[index]
            self._on_end(index, code, self._tries[index])
