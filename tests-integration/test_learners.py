"""A classifier that is killed again and again, as one process and as two ranks of torchrun, ends like one left alone."""

import importlib.util
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from kill_harness import (
    EXAMPLES,
    LONGER,
    SOAK,
    TEST_SECONDS,
    Killer,
    Life,
    Program,
    differences,
    fingerprints,
    finish,
    require_kills,
    require_success,
    unbroken_runs,
)

pytestmark = pytest.mark.timeout(TEST_SECONDS)

if importlib.util.find_spec("torch") is None:
    pytest.skip("No module named 'torch': the classifier learns with it", allow_module_level=True)

MOST_LINES = 8
KILLS = 10 if SOAK else 3
SCRIPT = EXAMPLES / "own_loop_supervised.py"
OPTIONS = ("--n-images", "512", "--batch-size", "16", "--save-every", "8", "--n-workers", "1")


@dataclass(frozen=True)
class Loop(Program):
    """A script that continues by itself where its folder holds a snapshot."""

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the run in `folder`, or continues it."""
        return super().command(folder, more)[:-1]


@dataclass(frozen=True)
class Torchrun(Loop):
    """The same as two ranks, which torchrun starts again when one of them has died."""

    def command(self, folder: Path, more: tuple[str, ...]) -> list[str]:
        """Return the command that starts the ranks."""
        launcher = [
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "--max-restarts",
            "99",
        ]
        python, *rest = super().command(folder, more)
        return [python, *launcher, *rest]


ALONE = Loop(SCRIPT, (*OPTIONS, "--n-epochs", str(8 * LONGER)))
RANKS = Torchrun(SCRIPT, (*OPTIONS, "--n-epochs", str(12 * LONGER)))
MUTANTS = [
    pytest.param(ALONE, "taken-batches-forgotten", id="the place in the epoch"),
    pytest.param(RANKS, "one-rank-not-seeded", id="one rank's generators"),
    pytest.param(ALONE, "order-drawn-again", id="the order of the epoch", marks=pytest.mark.slow),
    pytest.param(ALONE, "no-torch-random-state", id="torch's generator", marks=pytest.mark.slow),
    pytest.param(RANKS, "each-rank-its-newest", id="the common commit", marks=pytest.mark.slow),
]

Twin = Callable[[Loop], Path]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """Return the folder of a run that nobody disturbed; each program runs once."""
    return unbroken_runs(tmp_path_factory.mktemp)


def kill_ranks(program: Torchrun, folder: Path, kills: int, *, seed: int) -> int:
    """Kill one rank at a time, at random moments, and let torchrun start both again; return how often."""
    dice, done = random.Random(seed), 0
    life = Life(program, folder)
    try:
        life.wait_for_snapshot()  # of the state before the first step, from which every fault begins like the twin
        while done < kills and life.wait_for_snapshot():
            time.sleep(dice.uniform(0, 0.3))
            done += _kill_one(ranks_of(life), dice)
        require_success(program, life)
    finally:
        kill_all(life)
        life.close()
    return done


def _kill_one(ranks: list[psutil.Process], dice: random.Random) -> bool:
    if not ranks:
        return False
    dice.choice(ranks).kill()
    return True


def ranks_of(life: Life) -> list[psutil.Process]:
    """Return the processes that torchrun has started."""
    try:
        return psutil.Process(life.pid).children()
    except psutil.NoSuchProcess:
        return []


def kill_all(life: Life) -> None:
    """Kill torchrun and all that it has started: its ranks would survive it."""
    try:
        processes = psutil.Process(life.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return
    life.kill()
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def compare(program: Loop, twin: Path, folder: Path) -> list[str]:
    """Name what differs between two runs, after a look that there is something to compare."""
    found: list[str] = []
    parts = ["ranks/0", "ranks/1"] if isinstance(program, Torchrun) else []
    for part in parts:
        left, right = fingerprints(program.script, twin / part, folder / part)
        assert len(left["snapshot"]) > 50
        found += [f"{part}: {name}" for name in differences(left, right)]
    left, right = fingerprints(program.script, twin, folder)
    assert len(left["journal"]) > 100
    return found + differences(left, right)


def test_few_lines_make_the_script_resumable() -> None:
    """At most eight lines of the script are there for it."""
    script = SCRIPT.read_text(encoding="utf-8")
    lines = re.findall(r"^.*# resumable$", script, re.MULTILINE)
    assert 0 < len(lines) <= MOST_LINES
    rest = [line for line in script.partition('"""\n\n')[2].splitlines() if line not in lines]
    assert not re.search(r"\brun\.|Checkpoint|Batches", "\n".join(rest))


def test_a_killed_epoch_continues_where_it_was(unbroken: Twin, tmp_path: Path) -> None:
    """With a shuffled loader, workers that stay and batches loaded ahead: nothing is seen twice or left out."""
    require_kills(Killer(seed=3).kill_after_progress(ALONE, tmp_path / "run", KILLS), KILLS)
    finish(ALONE, tmp_path / "run", "--n-workers", "2", hash_seed=2)
    assert compare(ALONE, unbroken(ALONE), tmp_path / "run") == []


def test_killed_ranks_continue_together(unbroken: Twin, tmp_path: Path) -> None:
    """Any rank dies at any moment; torchrun starts all again, and both end with the weights and streams of the twin."""
    require_kills(kill_ranks(RANKS, tmp_path / "run", KILLS, seed=5), KILLS)
    assert compare(RANKS, unbroken(RANKS), tmp_path / "run") == []


@pytest.mark.parametrize(("program", "mutant"), MUTANTS)
def test_a_fault_is_noticed(program: Loop, mutant: str, unbroken: Twin, tmp_path: Path) -> None:
    """The comparison above fails for a checkpoint that leaves one thing out."""
    faulty = replace(program, mutant=mutant)
    if isinstance(faulty, Torchrun):
        assert kill_ranks(faulty, tmp_path / "run", 1, seed=7) == 1
    else:
        assert Killer(seed=7).kill_after_progress(faulty, tmp_path / "run", 1) == 1
        finish(faulty, tmp_path / "run")
    assert compare(program, unbroken(program), tmp_path / "run") != []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_many_kills(seed: int, unbroken: Twin, tmp_path: Path) -> None:
    """Up to fifty more kills of ranks."""
    assert kill_ranks(RANKS, tmp_path / "run", 10, seed=100 + seed) >= 5
    assert compare(RANKS, unbroken(RANKS), tmp_path / "run") == []
