"""How exact a resume is: three grades, each with its reason."""

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from rlx_runner._learners.group import number_of_learners
from rlx_runner._process.switches import set_switches


class Grade(StrEnum):
    """How a resumed run compares with one that was never interrupted."""

    BITWISE = "A"
    """The same bits."""

    SAME_STREAMS = "B"
    """The same random streams; last bits of floating-point sums may differ."""

    STATISTICAL = "C"
    """The same distribution, other numbers."""


THREADS = "torch threads"
LEARNERS = "number of learner processes"

_OTHER_SHARES = " (each has another share of the data; one that is new begins with the parts of another one)"

MEANING: Mapping[Grade, str] = {
    Grade.BITWISE: "bit for bit as if never interrupted",
    Grade.SAME_STREAMS: "same random streams, last bits may differ",
    Grade.STATISTICAL: "statistically the same, other numbers",
}


@dataclass(frozen=True)
class Exactness:
    """A grade and why it is no better.

    Args:
        grade: The grade.
        reasons: What stands against a better one, in words.
    """

    grade: Grade = Grade.BITWISE
    reasons: tuple[str, ...] = field(default=())

    def lowered(self, grade: Grade, reason: str) -> "Exactness":
        """Return this exactness with one more reason, at `grade` or worse."""
        return Exactness(max(self.grade, grade), (*self.reasons, reason))

    def __str__(self) -> str:
        why = "; ".join(self.reasons) or "same machine, versions and threads"
        return f"grade {self.grade.value} ({MEANING[self.grade]}): {why}"


def describe_machine() -> dict[str, Any]:
    """Return what the last bits of a computation depend on, as plain values."""
    machine: dict[str, Any] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cpu": f"{platform.machine()} {_cpu_model()}",
        LEARNERS: number_of_learners(),
    }
    torch: Any = sys.modules.get("torch")
    if torch is not None:
        machine["torch"] = str(torch.__version__)
        machine[THREADS] = int(torch.get_num_threads())
        used = torch.cuda.is_initialized()
        machine["device"] = torch.cuda.get_device_name() if used else "CPU"
    return machine


def compare_machines(
    saved: Mapping[str, Any], here: Mapping[str, Any], libraries: Mapping[str, tuple[str, str]]
) -> Exactness:
    """Return how exact a run saved on one machine continues on another, with its own number of threads.

    Args:
        saved: What `describe_machine` said there.
        here: What it says here.
        libraries: Versions there and here of libraries that the state comes from, where they differ.
    """
    exactness = Exactness()
    for name, value in saved.items():
        if name == THREADS:
            continue
        now = here.get(name, value)  # what is not loaded yet will be: the snapshot brings it
        if now == value:
            continue
        crossed = name == LEARNERS or (name == "device" and "CPU" in (now, value))
        grade = Grade.STATISTICAL if crossed else Grade.SAME_STREAMS
        note = _OTHER_SHARES if name == LEARNERS else ""
        exactness = exactness.lowered(grade, f"{name} was {value}, is {now}{note}")
    for name, (then, now) in libraries.items():
        if name not in saved:
            exactness = exactness.lowered(Grade.SAME_STREAMS, f"{name} was {then}, is {now}")
    return exactness


def match_process(exactness: Exactness, exact: Mapping[str, Any] | None) -> tuple[Exactness, list[str]]:
    """Set the threads and switches of this process as the saved run had them.

    Returns:
        `exactness`, lowered where that is impossible; and sentences on what was changed.
    """
    if exact is None:
        return exactness, []
    changed, different = set_switches({**exact.get("process", {}), **exact.get("modes", {})})
    torch: Any = sys.modules.get("torch")
    wanted = exact["machine"].get(THREADS)
    if torch is not None and wanted is not None and torch.get_num_threads() != wanted:
        before = torch.get_num_threads()
        torch.set_num_threads(wanted)
        changed.append(f"torch now uses {wanted} threads, as the saved run did (was {before}).")
    for each in different:
        exactness = exactness.lowered(Grade.SAME_STREAMS, each)
    return exactness, changed


def _cpu_model() -> str:
    """Return the processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
