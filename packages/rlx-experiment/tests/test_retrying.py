"""Which errors of a job are worth another try, and what is said of them."""

import contextlib
import errno
from pathlib import Path

import pytest

from rlx_experiment import ExperimentContext, grid, wrap_experiment
from rlx_experiment._runs.status import read_status
from rlx_experiment._sweeps.retrying import may_pass


class OutOfMemoryError(RuntimeError):
    """Called like torch's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("lr"), False),
        (FileNotFoundError(errno.ENOENT, "no data"), False),
        (OSError(errno.ENOSPC, "full"), True),
        (ConnectionResetError(), True),
        (MemoryError(), True),
        (OutOfMemoryError("CUDA"), True),
        (RuntimeError("CUDA error: an illegal memory access"), True),
        (RuntimeError("shapes differ"), False),
    ],
)
def test_errors_of_the_machine_may_pass(error: Exception, expected: bool) -> None:
    """Memory, devices, full disks and connections may be better next time; code and arguments will not."""
    assert may_pass(error) is expected


def test_the_cause_counts() -> None:
    """An error that was raised for one of the machine may pass, unless it says that it was not."""
    error = RuntimeError("no data")
    error.__cause__ = ConnectionError("gone")
    assert may_pass(error)
    error.__cause__ = None
    error.__context__ = ConnectionError("gone")
    error.__suppress_context__ = True
    assert not may_pass(error)


@wrap_experiment
def fails(ctxt: ExperimentContext, seed: int) -> None:
    """Fail in the way that the seed says."""
    with Path(f"tried-{seed}").open("a") as file:
        file.write("x")
    if seed == 1:
        raise ValueError("the learning rate is too high\nmore on that")
    if seed == 2:
        raise ConnectionError("the server is gone")


@pytest.mark.processes
@pytest.mark.parametrize("fork", [True, False])
def test_a_deterministic_error_is_tried_once(fork: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """The code's own error ends a job at once; the first line of each failure is shown, and the time that is left."""
    from rlx_experiment import Local

    results = fails.sweep(grid(seed=range(3)), launcher=Local(jobs=1, fork=fork), log_dir="s")
    assert [(result.state, result.tries) for result in results] == [
        ("finished", 1),
        ("failed", 1),
        ("failed", 2),
    ]
    assert [Path(f"tried-{seed}").read_text() for seed in range(3)] == ["x", "x", "xx"]
    assert results[1].error == "ValueError: the learning rate is too high"
    told = capfd.readouterr().err
    assert "; seed=1 failed: ValueError: the learning rate is too high\n" in told
    assert " left; seed=0 finished\n" in told
    assert "more on that" not in told


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n\none\ntwo"), "ValueError: one"),
        (RuntimeError(), "RuntimeError"),
        (SyntaxError("bad", ("f.py", 1, 1, "x =", 1, 2)), "SyntaxError: bad"),
    ],
)
def test_a_status_has_the_first_line_of_an_error(error: Exception, expected: str) -> None:
    """Notes that were added and further lines are in the log, not in the status."""
    error.add_note("a note")

    @wrap_experiment(log_dir="run")
    def broken(ctxt: ExperimentContext) -> None:
        raise error

    with contextlib.suppress(type(error)):
        broken()
    assert read_status(Path("run")).error == expected
