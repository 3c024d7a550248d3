"""Which signals ask a run to stop, and which end it at once."""

import signal

import pytest

from rlx_experiment._runs.signals import StopRequest


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        """Return what the test has set."""
        return self.seconds


@pytest.fixture(autouse=True)
def outside_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tests mean the same in a job of a cluster."""
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


class TestSigterm:
    def test_sent_again_within_seconds_is_one_request(self) -> None:
        """A scheduler repeats SIGTERM for one stop; the run is given its time to save."""
        clock = Clock()
        stop = StopRequest(clock)
        for seconds in (0.0, 0.01, 0.06, 4.0):
            clock.seconds = 100.0 + seconds
            stop(signal.SIGTERM, None)
        assert stop.requested

    def test_later_is_a_second_request(self) -> None:
        """Whoever sends it again after the run had time to hear the first one means now."""
        clock = Clock()
        stop = StopRequest(clock)
        stop(signal.SIGTERM, None)
        clock.seconds += 6
        with pytest.raises(SystemExit, match="143"):
            stop(signal.SIGTERM, None)

    def test_under_slurm_is_never_a_second_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Slurm ends a job that takes too long by SIGKILL."""
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        clock = Clock()
        stop = StopRequest(clock)
        for _ in range(3):
            stop(signal.SIGTERM, None)
            clock.seconds += 60
        assert stop.requested


class TestInterrupts:
    def test_a_second_one_ends_the_program(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A person who presses Ctrl-C twice means it, at any speed and also in a job of Slurm."""
        monkeypatch.setenv("SLURM_JOB_ID", "1")
        stop = StopRequest(Clock())
        stop(signal.SIGINT, None)
        with pytest.raises(SystemExit, match="130"):
            stop(signal.SIGINT, None)

    def test_after_sigterm_ends_the_program(self) -> None:
        """SIGTERM was the first request, whoever sent it."""
        stop = StopRequest(Clock())
        stop(signal.SIGTERM, None)
        with pytest.raises(SystemExit, match="130"):
            stop(signal.SIGINT, None)


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2"])
def test_warnings_only_ask(name: str) -> None:
    """The early warnings of schedulers are requests, however many come."""
    number = signal.Signals.__members__.get(name)
    if number is None:
        pytest.skip(f"this platform has no {name}")
    stop = StopRequest(Clock())
    for _ in range(4):
        stop(number, None)
    assert stop.requested
