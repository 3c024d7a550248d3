"""What a trivial run, a list of runs and an interval cost with other libraries, each in an interpreter of its own.

    python peers.py hydra=/venvs/hydra/bin/python mlflow=... wandb=... aim=... rliable=...

Prints a Markdown table of medians. Peers that are not named are left out. Nothing goes over the network: W&B is offline,
the others write to the working folder.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

LISTED: Final = 300
"""Runs in the lists; not more, because MLflow takes minutes to write them."""

REPEATS: Final = 5

TRIVIAL: Final = {
    "rlx": """
from rlx_experiment import wrap_experiment
@wrap_experiment
def exp(ctxt, lr=0.1):
    pass
exp()
""",
    "hydra": """
import hydra
@hydra.main(version_base=None, config_name=None)
def exp(config):
    pass
exp()
""",
    "mlflow": """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
with mlflow.start_run():
    mlflow.log_param("lr", 0.1)
""",
    "wandb": """
import wandb
with wandb.init(mode="offline", project="p", config={"lr": 0.1}):
    pass
""",
    "aim": """
from aim import Run
run = Run(repo=".", system_tracking_interval=None, log_system_params=True)
run["lr"] = 0.1
run.close()
""",
}
LISTS: Final = {
    "rlx": (
        """
from pathlib import Path
from rlx_experiment._runs.record import write_arguments
from rlx_experiment._runs.status import now, where, write_status
for number in range(COUNT):
    folder = Path("runs", f"run_{number}")
    folder.mkdir(parents=True)
    write_arguments(folder, {"lr": number}, {"experiment": "train.py:train"})
    write_status(folder, {"state": "finished", "started": now(), "ended": now(), **where()})
""",
        'from rlx_experiment._runs.index import find_runs; work = lambda: find_runs("runs", remember=False)',
    ),
    "mlflow": (
        """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
for number in range(COUNT):
    with mlflow.start_run():
        mlflow.log_param("lr", number)
""",
        """
import mlflow
mlflow.set_tracking_uri("sqlite:///mlflow.db")
work = lambda: mlflow.search_runs(max_results=COUNT)
""",
    ),
}
INTERVALS: Final = {
    "rlx": """
from rlx_experiment._reports.aggregate import estimate_iqm
work = lambda: estimate_iqm(list(scores.T), resamples=2000)
""",
    "rliable": """
from rliable import library, metrics
work = lambda: library.get_interval_estimates({"a": scores}, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=2000)
""",
}
SCORES: Final = "import numpy as np; scores = np.random.default_rng(0).random((10, 26))\n"
TIMED: Final = """
import statistics, time
took = []
for _ in range(5):
    began = time.perf_counter()
    work()
    took.append(time.perf_counter() - began)
print(statistics.median(took) * 1e3)
"""


def run(python: str, source: str, folder: Path) -> tuple[float, float, str]:
    """Run a program to its end; return milliseconds, milliseconds of CPU with children, and what it printed."""
    script = folder / "program.py"
    script.write_text(source)
    before, began = _cpu(), time.perf_counter()
    quiet = {"AIM_UI_TELEMETRY_ENABLED": "0", "WANDB_SILENT": "true", "HYDRA_FULL_ERROR": "1"}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        (python, script.name), cwd=folder, env=environment | quiet, check=True, capture_output=True, text=True
    )
    return (time.perf_counter() - began) * 1e3, (_cpu() - before) * 1e3, done.stdout


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure all that have an interpreter."""
    pythons = {"rlx": sys.executable, **dict(word.split("=", 1) for word in sys.argv[1:])}
    print("| what | who | time | CPU |\n|---|---|---|---|")
    for name, source in TRIVIAL.items():
        if name in pythons:
            with tempfile.TemporaryDirectory() as folder:
                run(pythons[name], source, Path(folder))  # what is compiled and created once
                found = [run(pythons[name], source, Path(folder)) for _ in range(REPEATS)]
                took, used = (statistics.median(values) for values in list(zip(*found, strict=True))[:2])
                print(f"| process of a trivial run | {name} | {took:.0f} ms | {used:.0f} ms |", flush=True)
    for name, (make, work) in LISTS.items():
        if name in pythons:
            with tempfile.TemporaryDirectory() as folder:
                count = f"COUNT = {LISTED}\n"
                run(pythons[name], count + make, Path(folder))
                took = float(run(pythons[name], count + work + TIMED, Path(folder))[2])
                print(f"| list of {LISTED:,} runs, in process | {name} | {took:.0f} ms | |", flush=True)
    for name, source in INTERVALS.items():
        if name in pythons:
            with tempfile.TemporaryDirectory() as folder:
                took = float(run(pythons[name], SCORES + source + TIMED, Path(folder))[2].splitlines()[-1])
                print(f"| IQM and interval, 26 x 10 x 2,000 | {name} | {took:.0f} ms | |", flush=True)


if __name__ == "__main__":
    main()
