"""A sweep over ``slow_walk.py`` in a process of its own, and what its runs logged."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlx_experiment import Run
from rlx_logging import read_metrics
from waiting import until

SCRIPT = Path(__file__).with_name("slow_walk.py")
EPOCHS = 12
PACED = {"n_epochs": EPOCHS, "pace": 0.5}
"""Arguments of a run that takes some seconds."""

Log = dict[str, list[tuple[int, float]]]


class Sweep:
    """A sweep in a process of its own."""

    def __init__(
        self, launcher: str, folder: Path, points: Sequence[Mapping[str, Any]], **options: Any
    ) -> None:
        self.folder = folder
        self._result = folder.with_suffix(".json")
        self._result.unlink(missing_ok=True)
        arguments = (launcher, str(folder), str(self._result), json.dumps(list(points)), json.dumps(options))
        self.process = subprocess.Popen(
            (sys.executable, SCRIPT, "sweep", *arguments),
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder.parent,
        )
        self.said = ""

    def results(self, seconds: float = 240) -> list[tuple[str, int]]:
        """Wait for the end, and return state and tries of each point."""
        try:
            self.said = self.process.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        if not self._result.exists():
            raise AssertionError(self.said)
        return [(state, tries) for state, tries, _ in json.loads(self._result.read_text())]

    def close(self) -> None:
        """Kill the sweep, if it has not ended."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()

    def run(self, seed: int = 0) -> Path:
        """Return the folder of the run with a seed."""
        folders = (file.parent for file in self.folder.glob("*/arguments.json"))
        found = [folder for folder in folders if Run.open(folder).arguments["seed"] == seed]
        return found[0] if found else self.folder / "none"

    def wait_for(self, epochs: int, seed: int = 0) -> None:
        """Wait until a run is that far."""
        until(f"{epochs} epochs are logged", lambda: self.has_logged(epochs, seed))

    def has_logged(self, epochs: int, seed: int = 0) -> bool:
        """Whether a run is that far."""
        file = self.run(seed) / "progress.csv"
        return file.exists() and len(file.read_text().splitlines()) > epochs


def logged(folder: Path) -> Log:
    """All that a run logged, but times."""
    metrics = read_metrics(folder)
    return {
        name: list(zip(map(int, metrics[name].steps), map(float, metrics[name].values), strict=True))
        for name in metrics
        if "Time" not in name
    }


def attempts(folder: Path) -> int:
    """How often a run was started."""
    return sum(event["event"] == "start" for event in Run.open(folder).attempts)


def unbroken_run(folder: Path) -> Log:
    """Return what a run of `EPOCHS` epochs logs that nobody disturbs."""
    subprocess.run((sys.executable, SCRIPT, "--log-dir", folder, "--n-epochs", str(EPOCHS)), check=True)
    return logged(folder)
