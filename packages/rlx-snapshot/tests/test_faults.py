"""Kills and errors at the system calls of a save; writers with a known mistake prove that they would be noticed.

In each test run the calls are sampled. The tests marked `slow` take every call, and one
of the errors in turn; with RLX_SOAK in the environment every error at every call.
"""

import os
import re
from pathlib import Path

import pytest
from fault_injection import (
    MODES,
    Call,
    Program,
    calls_of,
    kills_at,
    needs_strace,
    patching,
    problem_with,
    problems_with,
)

pytestmark = [pytest.mark.processes, needs_strace]

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EACCES", "EINTR", "EMFILE")
SAMPLES = [
    pytest.param(Program("proper"), 5, id="proper"),
    pytest.param(Program("background"), 7, id="background"),
    pytest.param(patching(), 13, id="patching"),
]


def failing(calls: list[Call], *, turn: int) -> list[str]:
    """For each call an error, once at even places and for ever at odd ones; other errors with another `turn`."""
    return [
        _failing(call, ERRORS[(place + turn) % len(ERRORS)], for_ever=(place + turn) % 2 == 1)
        for place, call in enumerate(calls)
    ]


def _failing(call: Call, error: str, *, for_ever: bool) -> str:
    # Python repeats an interrupted call, for ever if it must.
    again = "+" if for_ever and error != "EINTR" else ""
    return f"{call.name}:error={error}:when={call.number}{again}"


class TestKill:
    @pytest.mark.parametrize(("program", "every"), SAMPLES)
    def test_last_reported_snapshot_survives_a_kill(
        self, tmp_path: Path, program: Program, every: int
    ) -> None:
        """A kill at every few system calls of a save costs at most the save that was under way."""
        calls = calls_of(tmp_path, program)
        assert problems_with(tmp_path, program, kills_at(calls[every // 2 :: every])) == {}

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize(
        "program",
        [
            *(Program("proper", mode) for mode in MODES),
            *(Program("background", mode) for mode in MODES),
            patching(),
        ],
        ids=str,
    )
    def test_last_reported_snapshot_survives_every_kill(self, tmp_path: Path, program: Program) -> None:
        """A kill at each system call of a save costs at most the save that was under way."""
        assert problems_with(tmp_path, program, kills_at(calls_of(tmp_path, program))) == {}

    @pytest.mark.parametrize(
        "program",
        [
            Program("in_place"),
            Program("unlink_first"),
            Program("fixed_name"),
            patching("patches_the_newest"),
            patching("publishes_first"),
        ],
        ids=lambda program: program.writer,
    )
    def test_wrong_writer_is_caught(self, tmp_path: Path, program: Program) -> None:
        """A writer that loses its only copy is noticed at one of the calls."""
        calls = calls_of(tmp_path, program)
        wanted = [call for call in calls if re.fullmatch("write|pwritev2?|rename", call.name)]
        assert any(problem_with(tmp_path, program, fault) for fault in kills_at(wanted))


class TestErrors:
    @pytest.mark.parametrize(("program", "every"), SAMPLES)
    def test_errors_reach_the_caller_and_cost_nothing(
        self, tmp_path: Path, program: Program, every: int
    ) -> None:
        """A failing call, once or for ever, is reported; the last reported snapshot stays."""
        faults = failing(calls_of(tmp_path, program), turn=0)
        assert problems_with(tmp_path, program, faults[::every]) == {}

    @pytest.mark.slow
    @pytest.mark.timeout(1800)
    @pytest.mark.parametrize("turn", range(2 * len(ERRORS) if "RLX_SOAK" in os.environ else 2))
    @pytest.mark.parametrize(("program", "every"), SAMPLES)
    def test_an_error_at_every_call(self, tmp_path: Path, program: Program, every: int, turn: int) -> None:
        """Each system call fails, once and for ever, with the errors taking turns."""
        faults = failing(calls_of(tmp_path, program), turn=turn)
        assert problems_with(tmp_path, program, faults) == {}

    def test_swallowed_error_is_caught(self, tmp_path: Path) -> None:
        """A writer that reports success after a failed write is noticed."""
        program = Program("swallowed_error")
        calls = [call for call in calls_of(tmp_path, program) if call.name == "writev"]
        fault = f"writev:error=ENOSPC:when={calls[0].number}+"
        assert "was reported as saved" in str(problem_with(tmp_path, program, fault))
