"""Trains an example, kills it with SIGKILL, resumes it, and compares it with a twin that nothing disturbed.

Needs no torch: trains the cross-entropy method where there is none, and else PPO::

    python examples/demo.py
"""

import argparse
import importlib.util
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fingerprint import Fingerprint, differences, fingerprint, lend_classes
from rlx_logging import Metrics, read_metrics

HERE: Final = Path(__file__).resolve().parent
METRIC: Final = "info/AverageReturn"
PARTS: Final = {
    "policy": "/algo/policy",
    "optimiser": "/algo/_optimizer",
    "rest of the algorithm": "/algo",
    "random states": "/exact/random",
    "sampler": "/exact/sampler",
    "environment": "/env",
    "progress and arguments": "",
}
"""What a snapshot holds, by the first path that fits."""


@dataclass(frozen=True)
class Training:
    """One run of the example.

    Args:
        script: The example.
        folder: Folder of the run.
        n_epochs: Epochs in all.
        batch_size: Environment steps of a batch.
    """

    script: Path
    folder: Path
    n_epochs: int
    batch_size: int

    @property
    def command(self) -> list[str]:
        """What starts the run, and what continues it."""
        sizes = ["--n-epochs", str(self.n_epochs), "--batch-size", str(self.batch_size)]
        where = ["--logger", "tensorboard", "--log-dir", str(self.folder), "--resume"]
        return [sys.executable, str(self.script), *sizes, *where]

    def start(self, *, quiet: bool = False) -> subprocess.Popen[bytes]:
        """Start or resume the run in a process of its own."""
        output = subprocess.DEVNULL if quiet else None
        environment = {**os.environ, "PYTHONHASHSEED": "random"}
        return subprocess.Popen(self.command, stdout=output, stderr=output, env=environment)

    def epochs_logged(self) -> int:
        """Return how many epochs are in the log so far."""
        return len(self.metrics()[METRIC]) if (self.folder / "params.pkl").exists() else 0

    def metrics(self) -> Metrics:
        """Return everything that was logged."""
        return read_metrics(self.folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 if the twins are equal, else 1."""
    arguments = parse(argv)
    killed = choose(arguments.folder)
    twin = replace(killed, folder=arguments.folder / "unbroken")
    say(
        f"Training {killed.script.name} for {killed.n_epochs} epochs; a twin with the same seed trains beside it."
    )
    unbroken = twin.start(quiet=True)
    try:
        before = train_and_kill(killed)
        say(
            "Starting the same command again: it finds its last snapshot, cuts the logs back to it, and continues."
        )
        require_success(killed.start())
        require_success(unbroken)
    finally:
        unbroken.kill()
    found = compare(killed, twin)
    picture = arguments.picture or arguments.folder / "learning_curves.png"
    draw(picture, before, killed.metrics(), twin.metrics(), equal=not found, name=killed.script.stem)
    report(killed, arguments.folder, picture, found)
    return 1 if found else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train, kill, resume, compare.")
    folder = Path("data/local/demo", time.strftime("%Y-%m-%d_%H-%M-%S"))
    parser.add_argument("--folder", type=Path, default=folder, help="where the two runs go (%(default)s)")
    parser.add_argument("--picture", type=Path, help="where the learning curves go (a PNG in the folder)")
    return parser.parse_args(argv)


def choose(folder: Path) -> Training:
    """Return PPO where torch is installed, the cross-entropy method elsewhere."""
    with_torch = importlib.util.find_spec("torch") is not None
    if with_torch:
        return Training(HERE / "ppo_cartpole.py", folder / "killed", n_epochs=20, batch_size=1000)
    return Training(HERE / "cem_cartpole.py", folder / "killed", n_epochs=16, batch_size=500)


def say(text: str) -> None:
    """Print a step of the demo."""
    print(f"\n=== {text}", flush=True)


def train_and_kill(training: Training) -> Metrics:
    """Kill the training with SIGKILL in the middle; return what was in its log then."""
    process = training.start()
    while training.epochs_logged() < training.n_epochs // 2:
        if process.poll() is not None:
            raise SystemExit(f"the training ended by itself with exit code {process.returncode}; see above.")
        time.sleep(0.01)
    process.kill()
    process.wait()
    logged = training.metrics()
    say(
        f"Killed it with SIGKILL (process {process.pid}) after epoch {logged[METRIC].steps[-1]}: no warning, no clean-up."
    )
    return logged


def require_success(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a run; end the demo if it failed."""
    if process.wait() != 0:
        raise SystemExit(f"the training failed with exit code {process.returncode}; see above.")


def compare(killed: Training, twin: Training) -> list[str]:
    """Print, part by part, whether two runs are equal; return the names of what is not."""
    say("Comparing the last snapshots and the logs of both runs, bit for bit (wall-clock times left out):")
    lend_classes(str(killed.script))
    left, right = by_part(fingerprint(killed.folder)), by_part(fingerprint(twin.folder))
    for part in left | right:
        differing = differences({part: left.get(part, {})}, {part: right.get(part, {})})
        verdict = f"{len(differing)} DIFFER" if differing else "equal"
        print(f"    {part:24} {len(left.get(part, {})):5} values  {verdict}")
    return differences(left, right)


def by_part(found: Fingerprint) -> Fingerprint:
    """Sort the values of the snapshot into what a reader knows them as."""
    parts: Fingerprint = {part: {} for part in PARTS}
    for path, digest in found["snapshot"].items():
        part = next(part for part, prefix in PARTS.items() if path.startswith(prefix))
        parts[part][path] = digest
    parts |= {"log (journal)": found["journal"], "log (TensorBoard)": found["tensorboard"]}
    return {part: values for part, values in parts.items() if values}


def report(killed: Training, folder: Path, picture: Path, found: list[str]) -> None:
    """Say in plain words what came of it."""
    if found:
        say(f"The resumed run DIFFERS from its twin in {len(found)} values, first in {found[0]}.")
    else:
        say("The resumed run ended exactly as if it had never been killed.")
    print(f"    run folder       {killed.folder}")
    print(f"    its twin         {folder / 'unbroken'}")
    print(f"    learning curves  {picture}")
    print(
        f"    TensorBoard      {shlex.join([sys.executable, '-m', 'tensorboard.main', '--logdir', str(folder)])}"
    )


def draw(picture: Path, before: Metrics, resumed: Metrics, twin: Metrics, *, equal: bool, name: str) -> None:
    """Write the learning curves of both runs as a PNG, the kill marked."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    kill = len(before[METRIC]) - 1
    steps, returns = resumed[METRIC].steps, resumed[METRIC].values
    axes.plot(twin[METRIC].steps, twin[METRIC].values, color="#c9ced6", linewidth=9, solid_capstyle="round",
              label="twin that nothing disturbed")  # fmt: skip
    axes.plot(
        before[METRIC].steps,
        before[METRIC].values,
        color="#1f5fa8",
        linewidth=2.2,
        label="run, until the kill",
    )
    axes.plot(steps[kill:], returns[kill:], color="#2a9d6f", linewidth=2.2, label="the same run, resumed")
    mark_kill(axes, kill, float(before[METRIC].values[-1]))
    verdict = "bit for bit the same" if equal else "NOT the same"
    axes.set_title(
        f"{name}: killed after epoch {kill}, resumed: {verdict} as its twin", loc="left", fontsize=12
    )
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("average return")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=150)
    plt.close(figure)


def mark_kill(axes: Any, epoch: int, value: float) -> None:
    """Mark where the kill happened."""
    axes.axvline(epoch, color="#c0392b", linestyle=(0, (4, 3)), linewidth=1.2)
    axes.plot([epoch], [value], marker="X", markersize=11, color="#c0392b", markeredgecolor="white", zorder=5)
    axes.annotate("kill -9", (epoch, 1.0), xycoords=("data", "axes fraction"), xytext=(6, -14),
                  textcoords="offset points", color="#c0392b", fontsize=11, fontweight="bold")  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
