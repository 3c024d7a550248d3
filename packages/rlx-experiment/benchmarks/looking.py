"""What it costs to look at runs: a list of 10,000, and interquartile means with intervals against a plain bootstrap."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from rlx_experiment._reports.aggregate import estimate_iqm, iqm
from rlx_experiment._runs.index import find_runs
from rlx_experiment._runs.record import write_arguments
from rlx_experiment._runs.status import now, where, write_status

RUNS = 10_000
TASKS, SEEDS, RESAMPLES = 26, 10, 2000


def median_of(work: Callable[[], object], times: int) -> float:
    """Return the median time of `work` in milliseconds."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)


def make_runs(root: Path) -> None:
    """Write 10,000 finished runs."""
    for number in range(RUNS):
        folder = root / f"sweep_{number % 100}" / f"run_{number}"
        folder.mkdir(parents=True)
        write_arguments(
            folder, {"seed": number, "lr": 1e-3, "env": "CartPole-v1"}, {"experiment": "train.py:train"}
        )
        write_status(folder, {"state": "finished", "attempt": 1, "started": now(), "ended": now(), **where()})


def plain_bootstrap(scores: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> tuple[float, float]:
    """Return the interval as a loop over resamples finds it."""
    random = np.random.default_rng(0)
    means: list[float] = []
    for _ in range(RESAMPLES):
        drawn = [task[random.integers(SEEDS, size=SEEDS)] for task in scores]
        means.append(float(iqm(np.concatenate(drawn))))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    """Measure all."""
    with tempfile.TemporaryDirectory() as temporary:
        make_runs(Path(temporary))
        cold = median_of(lambda: find_runs(temporary, remember=False), 3)
        find_runs(temporary)
        warm = median_of(lambda: find_runs(temporary), 5)
        print(f"list of {RUNS:,} runs: {cold:.0f} ms without an index, {warm:.0f} ms with")
    scores = np.random.default_rng(0).random((TASKS, SEEDS))
    fast = median_of(lambda: estimate_iqm(list(scores), resamples=RESAMPLES), 15)
    plain = median_of(lambda: plain_bootstrap(scores), 3)
    print(
        f"IQM and interval, {TASKS} tasks x {SEEDS} seeds x {RESAMPLES} resamples: {fast:.1f} ms; as a loop {plain:.0f} ms"
    )


if __name__ == "__main__":
    main()
