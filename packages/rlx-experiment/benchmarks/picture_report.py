"""Writes fifteen runs with made-up curves, makes the report page of them, and takes its pictures for the documentation.

    python picture_report.py FOLDER

Needs playwright and a Chromium on the path; the pictures are ``FOLDER/report-light.png`` and ``report-dark.png``.
"""

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
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
