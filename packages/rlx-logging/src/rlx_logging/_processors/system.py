"""How busy the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from rlx_logging._missing import require
from rlx_logging._rows.rows import Row

_MEBIBYTE: Final = 2.0**20


class AddSystemMetrics:
    """Adds ``system/...`` to rows of one scope, at most once in a number of seconds.

    Values: ``cpu_percent`` (all cores), ``process_cpu_percent`` (100 is one core), ``process_memory_mib``,
    ``memory_percent`` and, for each NVIDIA GPU that tells them, ``gpu<i>_percent`` and ``gpu<i>_memory_mib``.

    Args:
        scope: To the rows of which scope.
        seconds: The least time between two such rows.
        clock: Tells the time in seconds; only differences count.

    Raises:
        MissingBackendError: If psutil is not installed.
    """

    def __init__(
        self,
        *,
        scope: str = "info",
        seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._psutil = require("psutil", extra="system", used_by="AddSystemMetrics")
        self._process = self._psutil.Process()
        self._gpus = _gpus()
        self.scope = scope
        self._seconds = seconds
        self._clock = clock
        self._last: float | None = None
        self.sample()  # usage is measured between two calls: the first one only begins

    def __call__(self, row: Row) -> Row:
        """Return the row, with what the machine has been doing if it is time."""
        now = self._clock()
        if row.layout.scope != self.scope or (self._last is not None and now - self._last < self._seconds):
            return row
        self._last = now
        return row.with_data(
            {**row.data, **{f"system/{name}": value for name, value in self.sample().items()}}
        )

    def sample(self) -> dict[str, float]:
        """Return how busy the machine has been since the last call."""
        sample = {
            "cpu_percent": self._psutil.cpu_percent(),
            "process_cpu_percent": self._process.cpu_percent(),
            "process_memory_mib": self._process.memory_info().rss / _MEBIBYTE,
            "memory_percent": self._psutil.virtual_memory().percent,
        }
        for index, gpu in enumerate(self._gpus):
            sample |= {f"gpu{index}_{name}": value for name, value in gpu().items()}
        return sample


def _gpus() -> list[Callable[[], dict[str, float]]]:
    """Return a function for each NVIDIA GPU; none where there is no library, driver or GPU."""
    try:
        pynvml: Any = import_module("pynvml")
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    return [_reader(pynvml, handle) for handle in handles]


def _reader(nvml: Any, handle: Any) -> Callable[[], dict[str, float]]:
    def read() -> dict[str, float]:
        sample: dict[str, float] = {}
        with suppress(nvml.NVMLError):  # a part of a GPU (MIG) does not tell, nor one that is lost
            sample["memory_mib"] = nvml.nvmlDeviceGetMemoryInfo(handle).used / _MEBIBYTE
        with suppress(nvml.NVMLError):
            sample["percent"] = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        return sample

    return read
