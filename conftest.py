"""What holds for the tests of every package."""

import os
import signal
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

# On a busy machine an example may take long; it has not failed for that.
settings.register_profile(
    "untimed",
    settings(
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        max_examples=int(os.environ.get("RLX_EXAMPLES", "100")),
    ),
)
settings.load_profile("untimed")

SECONDS_BETWEEN_LINES: Final = 5


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C reach tests in the processes of xdist; count for the reader where xdist hides the order."""
    # In the background an interrupt is ignored, also by children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("numprocesses", None) and "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(ProgressLines(), "progress-lines")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what no UTF-8 can say in captured output: xdist sends it to another process."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


class ProgressLines:
    """Print every few seconds how many tests are done and how long the rest may take, instead of dots."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._total = self._done = self._failed = 0
        self._over = threading.Event()

    def pytest_sessionstart(self) -> None:
        """Begin to print."""
        threading.Thread(target=self._print_lines, daemon=True).start()

    def pytest_sessionfinish(self) -> None:
        """Print no more."""
        self._over.set()

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note how many tests there are; each process collects all of them."""
        self._total = len(ids)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ended."""
        self._done += report.when == "teardown"
        self._failed += report.failed

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        """Print no dot for a test that passed or was skipped."""
        shown = report.failed or (report.passed and report.when != "call")
        return None if shown else (report.outcome, "", report.outcome.upper())

    def _print_lines(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LINES):
            seconds = time.monotonic() - self._began
            line = f"{self._done} of {self._total or '?'} tests done, {self._failed} failed, {seconds:.0f} s"
            if self._done:
                line += f", about {seconds / self._done * (self._total - self._done):.0f} s left"
            print(line, flush=True)
