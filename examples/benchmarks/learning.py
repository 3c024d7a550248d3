"""Does each example learn? Trains it at its default settings with several seeds and prints a table.

Usage: python examples/benchmarks/learning.py [ppo_cartpole ...] [--seeds 3]
"""

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlx_logging import read_metrics

EXAMPLES = Path(__file__).resolve().parent.parent
LAST = 10
GOALS = {
    "cem_cartpole": 400.0,
    "ppo_cartpole": 400.0,
    "dqn_cartpole": None,
    "reinforce_jax": None,
    "sac_hopper": None,
}
"""Mean return over the last epochs that every seed must reach, where a goal was set."""


@dataclass(frozen=True)
class Outcome:
    """What one run reached.

    Args:
        name: Example.
        seed: Its seed.
        last: Mean return over the last epochs.
        lowest: Lowest average return of those epochs.
        best: Highest average return of any epoch.
        env_steps: Environment steps in all.
        seconds: Of the whole process, its start included.
    """

    name: str
    seed: int
    last: float
    lowest: float
    best: float
    env_steps: int
    seconds: float

    def row(self) -> str:
        """Return a row of a Markdown table."""
        returns = f"{self.last:.1f} | {self.lowest:.1f} | {self.best:.1f}"
        return f"| {self.name} | {self.seed} | {returns} | {self.env_steps:,} | {self.seconds:.0f} |"


def train(name: str, seed: int, folder: Path) -> Outcome:
    """Train one example with one seed; raises CalledProcessError where it fails."""
    began = time.monotonic()
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), "--seed", str(seed), "--log-dir", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - began
    metrics = read_metrics(folder)
    returns, steps = metrics["info/AverageReturn"].values, metrics["info/TotalEnvSteps"].values
    last = returns[-LAST:]
    return Outcome(
        name, seed, float(np.mean(last)), float(last.min()), float(returns.max()), int(steps[-1]), seconds
    )


def main() -> int:
    """Print the table; return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=[name for name in GOALS if (EXAMPLES / f"{name}.py").exists()]
    )
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}\n")
    print(f"| example | seed | mean of the last {LAST} | lowest of them | best epoch | env steps | seconds |")
    print("|---|---|---|---|---|---|---|")
    missed = False
    for name in arguments.names:
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory() as folder:
                outcome = train(name, seed, Path(folder) / "run")
            print(outcome.row(), flush=True)
            goal = GOALS.get(name)
            missed |= goal is not None and outcome.last < goal
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
