"""What a power cut could destroy, judged from the system calls of real saves."""

from pathlib import Path

import pytest
from fault_injection import MODES, Program, lines_of, needs_strace, patching, run
from power_cut_model import power_cut_problem

pytestmark = [pytest.mark.processes, needs_strace]


def problem_of(tmp_path: Path, program: Program) -> str | None:
    """What could be lost in a run of `program`, whose every save is traced."""
    report = run(tmp_path / "dry", program._replace(in_peace=0))
    assert report.acked == list(range(1, program.saves + 1))
    return power_cut_problem(lines_of(tmp_path / "dry.trace"), tmp_path / "dry")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("writer", ["proper", "background"])
def test_nothing_reported_can_be_lost(tmp_path: Path, writer: str, mode: str) -> None:
    """File, then name, then directory reach the disk before success is reported."""
    assert problem_of(tmp_path, Program(writer, mode)) is None


def test_nothing_reported_can_be_lost_by_patching(tmp_path: Path) -> None:
    """The same where a file is brought up to date in place of being written again."""
    assert problem_of(tmp_path, patching()) is None
    assert ".params.pkl" in (tmp_path / "dry.trace").read_text().partition("link")[2], "nothing was patched"


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (Program("in_place"), "changed in place"),
        (Program("without_fsync"), "contents that may be lost"),
        (Program("without_directory_fsync"), "name may be lost"),
        (Program("unlink_first"), "newest snapshot is removed"),
        (Program("fixed_name"), "contents that may be lost"),
        (patching("patches_the_newest"), "changed in place"),
        (patching("publishes_first"), "changed in place"),
        (patching("patches_without_fsync"), "contents that may be lost"),
    ],
    ids=lambda value: value.writer if isinstance(value, Program) else None,
)
def test_wrong_writer_is_caught(tmp_path: Path, program: Program, problem: str) -> None:
    """Each classic mistake is noticed."""
    assert problem in str(problem_of(tmp_path, program))
