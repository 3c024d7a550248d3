"""What a row of twenty scalars costs the caller, beside the peers that are installed.

Usage: python writing.py [ROUNDS]

Peers do not resolve together: run it once in each environment. torch's SummaryWriter is measured in every run,
as the common baseline. A tight loop shows the cost of a writer that must keep up; the paced one leaves a millisecond of
training between two calls, in which a background thread can work.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

Call = Callable[[int], object]
Case = Callable[[Path], tuple[Call, Callable[[], object]]]
ROW = {f"k{index:02d}": index * 0.37 for index in range(20)}


def torch_writer(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return twenty calls of torch's SummaryWriter."""
    writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))

    def call(step: int) -> None:
        for key, value in ROW.items():
            writer.add_scalar(f"update/{key}", value, step)

    return call, writer.close


def tianshou_logger(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return tianshou's TensorboardLogger; it flushes after every row."""
    writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    logger: Any = import_module("tianshou.utils").TensorboardLogger(writer, update_interval=1)
    return lambda step: logger.log_update_data(ROW, step), logger.finalize


def sb3_logger(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return Stable-Baselines3's Logger with TensorBoard's format."""
    logger: Any = import_module("stable_baselines3.common.logger").configure(str(folder), ["tensorboard"])

    def call(step: int) -> None:
        for key, value in ROW.items():
            logger.record(f"update/{key}", value)
        logger.dump(step)

    return call, logger.close


def wandb_offline(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return one `log` of an offline run of W&B."""
    import wandb

    run: Any = wandb.init(
        dir=str(folder), mode="offline", settings=wandb.Settings(silent=True, console="off")
    )
    return lambda step: run.log({**ROW, "step": step}), run.finish


def ours_ungated(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return `write` of our TensorboardLogger: what the calls of a SummaryWriter are compared with."""
    from rlx_logging import TensorboardLogger

    logger = TensorboardLogger(folder)
    return lambda step: logger.write("update/gradient_step", step, ROW), logger.finalize


def ours(names: str, **options: Any) -> Case:
    """Return `log_update_data` of a logger of ours: gate, flattening and `write`."""

    def case(folder: Path) -> tuple[Call, Callable[[], object]]:
        from rlx_logging import make_logger

        logger = make_logger(names, log_dir=folder, update_interval=1, **options)
        return lambda step: logger.log_update_data(ROW, step), logger.finalize

    return case


def ours_tensorboard(folder: Path) -> tuple[Call, Callable[[], object]]:
    """Return `log_update_data` of our TensorboardLogger."""
    from rlx_logging import TensorboardLogger

    logger = TensorboardLogger(folder, update_interval=1)
    return lambda step: logger.log_update_data(ROW, step), logger.finalize


CASES: dict[str, tuple[str, Case]] = {
    "torch SummaryWriter, 20 calls": ("torch", torch_writer),
    "tianshou TensorboardLogger": ("tianshou", tianshou_logger),
    "SB3 Logger, tensorboard": ("stable_baselines3", sb3_logger),
    "wandb offline": ("wandb", wandb_offline),
    "rlx TensorboardLogger, write": ("rlx_logging", ours_ungated),
    "rlx TensorboardLogger": ("rlx_logging", ours_tensorboard),
    "rlx journal": ("rlx_logging", ours("journal")),
    "rlx journal + tensorboard + csv": ("rlx_logging", ours("tensorboard,csv")),
    "rlx journal + jsonl": ("rlx_logging", ours("jsonl")),
    "rlx journal + wandb offline": ("wandb", ours("wandb", mode="offline")),
}


def measure(call: Call, count: int, pause: float, first: int) -> list[float]:
    """Return the microseconds of each call."""
    times: list[float] = []
    for step in range(first, first + count):
        start = time.perf_counter_ns()
        call(step)
        end = time.perf_counter_ns()
        times.append((end - start) / 1000)
        while pause and time.perf_counter_ns() - end < pause * 1e9:
            pass  # training that computes
    return times


def quietest(times: list[float], burst: int = 50) -> float:
    """Return the least median of all bursts of calls: other users of the machine only add."""
    return min(statistics.median(times[first : first + burst]) for first in range(0, len(times), burst))


def report(name: str, case: Case, rounds: int) -> None:
    """Print one line: tight and paced calls, and CPU time of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        call, close = case(Path(folder))
        measure(call, 50, 0.0, 0)
        cpu = time.process_time()
        tight = measure(call, rounds, 0.0, 50)
        cpu = time.process_time() - cpu
        paced = measure(call, rounds // 10, 0.001, 50 + rounds)
        close()
    cells = [statistics.median(tight), quietest(tight), statistics.quantiles(tight, n=100)[98]]
    cells += [cpu / rounds * 1e6, statistics.median(paced), quietest(paced)]
    cells += [statistics.quantiles(paced, n=100)[98]]
    print(f"| {name} | " + " | ".join(f"{cell:.1f}" for cell in cells) + " |", flush=True)


def main() -> None:
    """Measure everything that is installed."""
    os.environ["WANDB_SILENT"] = "true"
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3000
    print("| microseconds a row of 20 scalars | tight: median | quietest 50 | p99 | CPU "
          "| paced: median | quietest 50 | p99 |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for name, (module, case) in CASES.items():
        if find_spec(module) is not None:
            report(name, case, rounds)


if __name__ == "__main__":
    main()
