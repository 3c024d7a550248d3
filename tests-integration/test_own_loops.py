"""Loops of one's own that are killed again and again end bit for bit like ones that were left alone."""

import importlib.util
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kill_harness import (
    EXAMPLES,
    LONGER,
    SOAK,
    STOPPED,
    TEST_SECONDS,
    Killer,
    Program,
    differences,
    fingerprints,
    finish,
    life,
    require_kills,
    unbroken_runs,
)

pytestmark = pytest.mark.timeout(TEST_SECONDS)

if importlib.util.find_spec("torch") is None:
    pytest.skip("No module named 'torch': the loops learn with it", allow_module_level=True)

MOST_LINES = 8
KILLS = 10 if SOAK else 4
UNUSED = re.compile(r"/(?:single_)?(?:action|observation)_space(?:s/\d+)?/")
"""Spaces of environments hold generators of which PPO draws nothing, seeded again where a run begins again."""


@dataclass(frozen=True)
class Loop(Program):
    """A script that continues by itself where its folder holds a snapshot."""

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the run in `folder`, or continues it."""
        return super().command(folder, more)[:-1]


PPO = Loop(
    EXAMPLES / "own_loop_ppo.py", ("--n-iterations", str(36 * LONGER), "--n-steps", "32", "--save-every", "3")
)
SAC = Loop(
    EXAMPLES / "own_loop_sac.py",
    ("--n-steps", str(800 * LONGER), "--warm-up-steps", "20", "--save-every", "50"),
)
PROGRAMS = [pytest.param(PPO, id="ppo"), pytest.param(SAC, id="sac")]
MUTANTS = [
    pytest.param(SAC, "buffer-pointer-lost", id="a buffer's pointer"),
    pytest.param(PPO, "no-generators-of-environments", id="an environment's generator"),
    pytest.param(SAC, "no-numpy-random-state", id="numpy's generator", marks=pytest.mark.slow),
    pytest.param(PPO, "no-torch-random-state", id="torch's generator", marks=pytest.mark.slow),
    pytest.param(PPO, "parts-not-written", id="the parts", marks=pytest.mark.slow),
    pytest.param(PPO, "variables-not-restored", id="the variables", marks=pytest.mark.slow),
]

Twin = Callable[[Loop], Path]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return the folder of a run that nobody disturbed; each program runs once."""
    return unbroken_runs(tmp_path_factory.mktemp)


def compare(program: Loop, twin: Path, folder: Path) -> list[str]:
    """Name what differs between two runs, after a look that there is something to compare."""
    left, right = fingerprints(program.script, twin, folder)
    assert len(left["snapshot"]) > 100
    assert len(left["journal"]) > 20
    return [name for name in differences(left, right) if not UNUSED.search(name)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_few_lines_make_a_script_resumable(program: Loop) -> None:
    """At most eight lines of the script are there for it."""
    script = program.script.read_text(encoding="utf-8")
    lines = re.findall(r"^.*# resumable$", script, re.MULTILINE)
    assert 0 < len(lines) <= MOST_LINES
    assert len(re.findall(r"\brun\b|Checkpoint|rlx_runner", "\n".join(lines))) >= 4
    rest = [line for line in script.partition('"""\n\n')[2].splitlines() if line not in lines]
    assert not re.search(r"\brun\.|Checkpoint", "\n".join(rest))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_loop_ends_like_an_unbroken_one(program: Loop, unbroken: Twin, tmp_path: Path) -> None:
    """A kill in the launch, four later: weights, optimizers, environments, random states and logs are equal."""
    killer = Killer(seed=11)
    killer.kill_before_progress(program, tmp_path / "run", kills=1)
    require_kills(killer.kill_after_progress(program, tmp_path / "run", KILLS), KILLS)
    finish(program, tmp_path / "run", hash_seed=2)
    assert compare(program, unbroken(program), tmp_path / "run") == []


@pytest.mark.parametrize(("program", "mutant"), MUTANTS)
def test_a_fault_is_noticed(program: Loop, mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The comparison above fails for a checkpoint that leaves one thing out."""
    faulty = replace(program, mutant=mutant)
    assert Killer(seed=7).kill_after_progress(faulty, tmp_path / "run", 1) == 1
    finish(faulty, tmp_path / "run")
    assert compare(program, unbroken(program), tmp_path / "run") != []


def test_rows_that_nobody_takes_back_are_noticed(unbroken: Twin, tmp_path: Path) -> None:
    """The comparison fails where rows after the last snapshot stay."""
    faulty, journal = replace(PPO, mutant="logs-not-cut"), tmp_path / "run" / "metrics.rlxj"
    with life(faulty, tmp_path / "run") as process:
        assert process.wait_for_snapshot()
        assert process.wait_for_snapshot()
        before = journal.stat().st_size
        assert process.wait_for(lambda: journal.stat().st_size > before)
        assert process.kill()
    finish(faulty, tmp_path / "run")
    assert compare(PPO, unbroken(PPO), tmp_path / "run") != []


def test_a_stopped_loop_continues_exactly(unbroken: Twin, tmp_path: Path) -> None:
    """SIGTERM ends it after the step that is under way, with the exit status of a run that can be resumed."""
    with life(SAC, tmp_path / "run") as process:
        assert process.wait_for_snapshot()
        assert process.wait_for_snapshot()
        process.send(signal.SIGTERM)
        assert process.end() == STOPPED
        assert "It resumes there" in process.said()
    finish(SAC, tmp_path / "run")
    assert compare(SAC, unbroken(SAC), tmp_path / "run") == []


def test_another_environment_is_refused(tmp_path: Path) -> None:
    """A folder that holds the run of another script is left as it is."""
    finish(PPO, tmp_path / "run", "--n-iterations", "1")
    with pytest.raises(RuntimeError, match="the snapshot is of another run"):
        finish(SAC, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("seed", range(5))
def test_many_kills(program: Loop, seed: int, unbroken: Twin, tmp_path: Path) -> None:
    """Up to fifty more kills a program, before and after progress."""
    killer = Killer(seed=100 + seed)
    killer.kill_before_progress(program, tmp_path / "run", kills=3)
    assert killer.kill_after_progress(program, tmp_path / "run", kills=10) >= 5
    finish(program, tmp_path / "run", hash_seed=seed)
    assert compare(program, unbroken(program), tmp_path / "run") == []
