# pyright: basic
"""Taking times, and printing them as Markdown."""

import os
import statistics
import time
from collections.abc import Callable

Times = dict[str, list[float]]


def milliseconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def on_a_clean_disk(work: Callable[[], object]) -> float:
    """How long `work` takes with nothing left to write of what others wrote before it."""
    os.sync()
    return milliseconds(work)


def show(title: str, times: Times, *, base: str | None = None) -> None:
    """Print a table; with `base`, also as a multiple of that row's best."""
    print(f"\n### {title}\n\n| | best ms | median ms |{' multiple of ' + base + ' |' if base else ''}")
    print(f"|---|---|---|{'---|' if base else ''}")
    for name, measured in times.items():
        values = measured[1:] if len(measured) > 2 else measured  # the first warms up
        ratio = f" {min(values) / min(times[base][1:]):.2f} |" if base else ""
        print(f"| {name} | {min(values):.2f} | {statistics.median(values):.2f} |{ratio}")
