"""Writes runs with made-up curves, makes report pages of them, and takes their pictures for the documentation.

    python picture_report.py FOLDER

Needs playwright and a Chromium on the path; the pictures are ``FOLDER/report-light.png`` and ``report-dark.png`` of fifteen
runs, and ``report-2.png``, ``report-24.png`` and ``report-200.png`` of as many.
"""

import itertools
import math
import random
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from playwright.sync_api import sync_playwright

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_experiment._reports.report import write_report
from rlx_experiment._runs.index import find_runs

SHAPES = {"ppo": (480, 22, 14), "dqn": (430, 40, 30), "cem": (350, 14, 20)}
"""Height, slowness and noise of each algorithm's curve; invented."""


TOPS = {"ppo": 480, "dqn": 430, "cem": 350, "sac": 450, "trpo": 400}
RATES = [1e-3, 1e-2, 1e-4, 1e-1, 3e-2, 3e-3, 3e-4, 3e-5]


@wrap_experiment(archive_launch_repo=False)
def made_up(ctxt: ExperimentContext, algorithm: str, seed: int, n_epochs: int = 120) -> None:
    """Log a curve that looks like learning."""
    noise = random.Random(f"{algorithm}{seed}")
    top, slowness, wobble = SHAPES[algorithm]
    slowness, drift = slowness * noise.uniform(0.8, 1.3), 0.0
    logger = ctxt.logger("csv")
    for epoch in range(n_epochs):
        if (algorithm, seed, epoch) == ("dqn", 3, 90):
            raise FloatingPointError("loss is nan")
        drift = 0.85 * drift + noise.gauss(0, wobble)
        learned = top / (1 + math.exp(-(epoch - 1.6 * slowness) / (0.45 * slowness)))
        row = {
            "AverageReturn": max(9.0, learned + drift * (0.3 + epoch / n_epochs)),
            "Loss": 2 * math.exp(-epoch / 40),
        }
        logger.write("info/epoch", epoch, row)


@wrap_experiment(archive_launch_repo=False)
def made_up_sweep(ctxt: ExperimentContext, algorithm: str, lr: float, seed: int, n_epochs: int = 60) -> None:
    """Log a curve that depends on two arguments; some runs fail."""
    noise = random.Random(f"{algorithm}{lr}{seed}")
    top = TOPS[algorithm] * (1 - 0.2 * abs(math.log10(lr) + 3))
    slowness, drift = 22 * noise.uniform(0.8, 1.3), 0.0
    logger = ctxt.logger("csv")
    for epoch in range(n_epochs):
        if epoch == 40 and noise.random() < 0.04:
            raise FloatingPointError("loss is nan")
        drift = 0.85 * drift + noise.gauss(0, 14)
        learned = top / (1 + math.exp(-(epoch - 1.6 * slowness) / (0.45 * slowness)))
        logger.write("info/epoch", epoch, {"AverageReturn": max(9.0, learned + drift)})


def write_sweep(folder: Path, algorithms: int, rates: int, seeds: int) -> Path:
    """Run a sweep of made-up runs and return its page."""
    for algorithm, lr, seed in itertools.product(list(TOPS)[:algorithms], RATES[:rates], range(1, seeds + 1)):
        run = folder / f"{algorithm}_{lr}_{seed}"
        with suppress(FloatingPointError):
            made_up_sweep({"log_dir": str(run)}, algorithm=algorithm, lr=lr, seed=seed)
    page = folder.with_suffix(".html").absolute()
    write_report(page, find_runs(folder), title=f"{algorithms * rates * seeds} made-up runs")
    return page


def main(folder: Path) -> None:
    """Write runs, page and pictures into `folder`."""
    for algorithm in SHAPES:
        for seed in range(1, 6):
            with suppress(FloatingPointError):
                made_up({"log_dir": str(folder / f"runs/{algorithm}_{seed}")}, algorithm=algorithm, seed=seed)
    page = (folder / "report.html").absolute()
    write_report(page, find_runs(folder / "runs"), title="Three made-up algorithms")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            tab = browser.new_page(color_scheme=scheme, viewport={"width": 1120, "height": 1180})
            tab.goto(page.as_uri())
            tab.focus("#chart")
            for _ in range(60):
                tab.keyboard.press("ArrowRight")
            tab.evaluate("document.activeElement.blur()")
            tab.screenshot(path=folder / f"report-{scheme}.png")
        for sizes in ((1, 1, 2), (2, 3, 4), (5, 8, 5)):
            number = math.prod(sizes)
            tab = browser.new_page(viewport={"width": 1120, "height": 1300})
            tab.goto(write_sweep(folder / f"sweep-{number}", *sizes).as_uri())
            tab.screenshot(path=folder / f"report-{number}.png")
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
