"""The HTML report, as a file and in a browser."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_experiment._cli import main
from rlx_experiment._reports.report import write_report
from rlx_experiment._runs.index import find_runs

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"]  # fmt: skip


@wrap_experiment(name_parameters="passed")
def train(ctxt: ExperimentContext, seed: int, lr: str = "0.1", fail: bool = False) -> None:
    """Log a curve."""
    rows = "".join(f"{epoch},{epoch + seed + len(lr)},{-epoch}\n" for epoch in range(30))
    Path(ctxt.snapshot_dir, "progress.csv").write_text("epoch,AverageReturn,loss\n" + rows)
    if fail:
        raise RuntimeError("</script><b>diverged</b>")


def make_report(title: str = "Runs") -> Path:
    """Write a report of two groups of three seeds, and one failed run."""
    for lr in ("0.1", "</script><script>alert(1)</script>"):
        for seed in range(3):
            train(seed=seed, lr=lr)
    with pytest.raises(RuntimeError, match="diverged"):
        train(seed=9, fail=True)
    write_report("report.html", find_runs("data"), title=title)
    return Path("report.html")


def data_of(page: Path) -> dict[str, Any]:
    """Return the data in the page."""
    found = re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_has_groups_scores_and_states() -> None:
    """Runs that differ in their seed are one group, with curve, band and final score; every run has its state."""
    data = data_of(make_report())
    assert data["metric"] == "AverageReturn"
    assert sorted(group["runs"] for group in data["groups"]) == [1, 3, 3]
    for group in data["groups"]:
        if "failed" in group["states"]:
            continue
        curve = group["curves"]["AverageReturn"]
        assert len(curve["x"]) == 30
        assert all(
            low <= y <= high for low, y, high in zip(curve["low"], curve["y"], curve["high"], strict=True)
        )
        value, low, high = group["scores"]["AverageReturn"]
        assert low <= value <= high
    assert sorted(run["state"] for run in data["runs"]) == ["failed"] + ["finished"] * 6
    assert data["columns"] == ["seed", "lr", "fail"]


def test_a_run_that_failed_is_a_thin_line_and_counts_nowhere() -> None:
    """The page shows it as what it is: in no band, in no score, with the reason."""
    data = data_of(make_report())
    (group,) = [group for group in data["groups"] if group["label"].endswith("fail=true")]
    assert (group["curves"], group["scores"], group["counted"]["loss"]) == ({}, {}, 0)
    (line,) = group["unfinished"]
    assert (line["state"], line["curves"]["loss"]["x"][-1]) == ("failed", 29)
    (run,) = [run for run in data["runs"] if run["state"] == "failed"]
    assert run["why"].startswith("failed at step 29: RuntimeError: ")


def test_a_damaged_run_is_on_the_page() -> None:
    """It has its row with the name of the file, and belongs to no group."""
    train(seed=1)
    train({"log_dir": "data/broken"}, seed=2)
    Path("data/broken/status.json").write_text("{")
    write_report("report.html", find_runs("data"))
    data = data_of(Path("report.html"))
    assert [group["runs"] for group in data["groups"]] == [1]
    (run,) = [run for run in data["runs"] if run["state"] == "damaged"]
    assert run["group"] is None
    assert "status.json" in run["why"]


def test_the_page_is_self_contained() -> None:
    """Nothing is loaded from elsewhere, and links are relative to the page."""
    page = make_report()
    text = page.read_text()
    assert not re.search(r'(src|href)="https?:|@import|url\(', text.replace("http://www.w3.org/2000/svg", ""))
    assert all((page.parent / unquote(run["link"])).is_dir() for run in data_of(page)["runs"])


def test_links_lead_to_folders_of_any_name() -> None:
    """What means something else in a link is escaped."""
    train({"log_dir": "data/50% of #1?"}, seed=1)
    write_report("report.html", find_runs("data"))
    assert data_of(Path("report.html"))["runs"][0]["link"] == "data/50%25%20of%20%231%3F"


def test_values_cannot_break_out_of_the_page() -> None:
    """Titles, arguments and errors with markup in them stay text."""
    text = make_report(title="<script>alert(1)</script>").read_text()
    assert "<script>alert(1)" not in text
    assert text.count("</script>") == 2


def test_runs_without_metrics_have_a_page_too() -> None:
    """States and arguments are shown where nothing was logged."""

    @wrap_experiment
    def silent(ctxt: ExperimentContext) -> None: ...

    silent()
    write_report("report.html", find_runs("data"))
    assert data_of(Path("report.html"))["tags"] == []


def test_the_command_writes_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """`rlx-experiment report` takes folder, output and metric."""
    train(seed=1)
    assert main(["report", "data", "-o", "out/page.html", "--metric", "loss"]) == 0
    assert capsys.readouterr().out == "out/page.html\n"
    assert data_of(Path("out/page.html"))["metric"] == "loss"


def test_an_unknown_metric_is_an_error() -> None:
    """The message lists the tags there are."""
    train(seed=1)
    with pytest.raises(ValueError, match="AverageReturn"):
        write_report("report.html", find_runs("data"), metric="entropy")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser(scheme: str) -> None:
    """The page draws bands and lines, obeys the keyboard, hides groups, sorts, and says nothing in the console."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    page_file = make_report().absolute()
    said: list[str] = []

    def note(event: object) -> None:
        said.append(str(event))

    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(color_scheme=scheme)
        for event in ("pageerror", "console"):
            page.on(event, note)
        page.goto(page_file.as_uri())
        page.wait_for_selector("body[data-ready]")
        assert page.locator("#chart path[stroke]").count() == 3
        assert page.locator("#chart path[opacity]").count() == 2
        assert page.locator("#chart path.loose").count() == 1
        page.fill("#find", "failed")
        assert page.inner_text("#count") == "1 of 7 runs"
        assert page.locator("#scores tbody tr").count() == 1
        page.fill("#find", "")
        page.select_option("#state", "finished")
        assert page.locator("#runs tbody tr").count() == 6
        page.select_option("#state", "")
        page.focus("#chart")
        page.keyboard.press("End")
        assert page.inner_text("#readout").startswith("step 29")
        page.locator("#legend button").first.click()
        assert page.locator("#chart path[stroke]").count() == 2
        page.click("#none")
        assert page.inner_text("#drawn") == "0 of 3 groups are drawn"
        page.click("#all")
        assert page.locator("#chart path[stroke]").count() == 3
        page.select_option("#metric", "loss")
        assert "IQM of loss" in page.inner_text("#scores")
        page.click("#runs th:nth-child(2) button")
        assert page.get_attribute("#runs th:nth-child(2)", "aria-sort") == "ascending"
        assert "failed" in page.inner_text("#runs tbody tr:first-child")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(251, 251, 249)" if scheme == "light" else "rgb(20, 23, 26)")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.wait_for_function("document.querySelector('#chart').viewBox.baseVal.width < 390")
        browser.close()
    assert said == []
