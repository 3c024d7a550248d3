"""TensorBoard itself, opened in a browser on logs of ours."""

import math
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import make_logger

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
WAIT = 60_000  # milliseconds


def log_runs(folder: Path) -> None:
    """Log two runs with numbers, a histogram, a picture, a text and arguments; the second one is resumed."""
    for seed, rate in enumerate((3e-4, 1e-3)):
        random = np.random.default_rng(seed)
        run = folder / f"ppo_{seed}"
        logger = make_logger("tensorboard", log_dir=run, update_interval=1, exclude_arrays=False)
        logger.log_hparams({"learning_rate": rate, "env": "CartPole-v1", "anneal": True})
        for epoch in range(60):
            if epoch == 30 and seed:
                state = logger.state_dict()
                logger.write("info/epoch", epoch, {"AverageReturn": -1000.0})
                logger = make_logger("tensorboard", log_dir=run, update_interval=1, exclude_arrays=False)
                logger.load_state_dict(state)
            weights = random.normal(0, 1 / (1 + epoch / 20), 500)
            logger.log_update_data({"loss": math.exp(-epoch / 15), "weights": weights}, epoch)
            reward = 500 / (1 + math.exp((25 - 5 * seed - epoch) / 6)) + random.normal(0, 8)
            logger.write("info/epoch", epoch, {"AverageReturn": reward})
        rows, columns = np.mgrid[0:96, 0:160]
        picture = np.stack([columns * 1.6, rows * 2.6, np.full_like(rows, 120)], axis=-1).astype(np.uint8)
        logger.write_image("info/episode", 59, picture)
        logger.write_text("info/note", 59, "the pole stayed **upright**")
        logger.finalize()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the logs with TensorBoard."""
    pytest.importorskip("tensorboard", reason="needs tensorboard")
    folder = tmp_path_factory.mktemp("logs")
    log_runs(folder)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "tensorboard.main",
        "--logdir",
        str(folder),
        "--port",
        "0",
    ]
    command += ["--host", "127.0.0.1", "--load_fast", "false"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stderr)
        yield next(match.group() for match in found if match)
        process.kill()


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """Return a page of a headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1400, "height": 900})
        browser.close()


def open_tab(page: Any, address: str, tab: str) -> None:
    """Open one of TensorBoard's tabs."""
    page.goto("about:blank")
    page.goto(f"{address}#{tab}")


def test_scalars(page: Any, address: str, tmp_path: Path) -> None:
    """Each tag has its curve, of both runs."""
    open_tab(page, address, "timeseries")
    for text in ("info/AverageReturn", "update/loss", "ppo_0", "ppo_1"):
        page.get_by_text(text, exact=True).first.wait_for(timeout=WAIT)
    page.locator("line-chart").first.wait_for(timeout=WAIT)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=tmp_path / "tensorboard-scalars.png")


def test_a_resumed_run_has_one_curve(address: str) -> None:
    """The server gives each epoch once, in order, and nothing of what was cut off."""
    import json
    from urllib.request import urlopen

    with urlopen(f"{address}data/plugin/scalars/scalars?tag=info/AverageReturn&run=ppo_1") as answer:
        points = json.load(answer)
    assert [step for _, step, _ in points] == list(range(60))
    assert min(value for _, _, value in points) > -100


def test_histograms(page: Any, address: str) -> None:
    """An array is a histogram."""
    open_tab(page, address, "histograms")
    page.get_by_text("update/weights").first.wait_for(timeout=WAIT)


def test_pictures(page: Any, address: str) -> None:
    """A picture is shown in its size."""
    open_tab(page, address, "images")
    page.get_by_text("info/episode").first.wait_for(timeout=WAIT)
    picture = page.locator("img[src*='individualImage'], img[src*='images']").first
    picture.wait_for(timeout=WAIT)
    page.wait_for_function(
        "element => element.naturalWidth === 160 && element.naturalHeight === 96",
        arg=picture.element_handle(),
    )


def test_texts(page: Any, address: str) -> None:
    """A text is shown as Markdown."""
    open_tab(page, address, "text")
    page.locator("strong", has_text="upright").first.wait_for(timeout=WAIT)


def test_hparams(page: Any, address: str, tmp_path: Path) -> None:
    """The HParams tab has both runs with their arguments."""
    open_tab(page, address, "hparams")
    for text in ("learning_rate", "0.0010000", "0.00030000", "CartPole-v1"):
        page.get_by_text(text).first.wait_for(timeout=WAIT)
    page.screenshot(path=tmp_path / "tensorboard-hparams.png")
