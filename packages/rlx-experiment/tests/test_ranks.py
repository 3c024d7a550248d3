"""Several learner processes that are started alike are one run."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from rlx_experiment import wrap_experiment
from rlx_experiment._runs import ranks

SCRIPT = """
    import os, sys, time
    from pathlib import Path
    from rlx_experiment import wrap_experiment


    @wrap_experiment
    def train(ctxt, *, lr: float = 0.1):
        rank, folder = os.environ["RANK"], Path(ctxt.snapshot_dir)
        (folder / f"was-here-{rank}").touch()
        while not (folder / "was-here-0").exists() or not (folder / "was-here-1").exists():
            time.sleep(0.01)
        print(rank, folder.name, ctxt.resuming)
        if "KILLED" in os.environ:
            os.kill(os.getpid(), 9)


    if __name__ == "__main__":
        train.main()
"""


def start(rank: int, *argv: str, **environment: str) -> "subprocess.Popen[str]":
    """Start one rank of two, as torchrun does."""
    told = {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
    told |= {"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_RUN_ID": "none"}
    return subprocess.Popen(
        [sys.executable, "script.py", *argv],
        env={**os.environ, **told, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run_ranks(*argv: str, **environment: str) -> list[str]:
    """Run both, the second one first, and return what they print."""
    Path("script.py").write_text(textwrap.dedent(SCRIPT))
    for mark in Path().rglob("was-here-*"):  # by which ranks wait for each other
        mark.unlink()
    processes = [start(rank, *argv, **environment) for rank in (1, 0)]
    ends = [(process, *process.communicate(timeout=100)) for process in processes]
    for process, _, said in ends:
        assert "KILLED" in environment or process.returncode == 0, said
    return [line for _, printed, _ in ends for line in printed.splitlines()]


def attempts(folder: Path) -> list[dict[str, Any]]:
    """Return the recorded events of a run."""
    return [json.loads(line) for line in (folder / "attempts.jsonl").read_text().splitlines()]


def test_all_ranks_have_one_folder_which_rank_zero_records() -> None:
    """The second rank waits for it, and keeps its words apart."""
    assert run_ranks() == ["1 train False", "0 train False"]
    (folder,) = Path("data/local/experiment").iterdir()
    assert [event["event"] for event in attempts(folder)] == ["start", "end"]
    assert (folder / "debug_rank_1.log").exists()


def test_ranks_of_another_launch_have_another_folder() -> None:
    """What stands there of an earlier launch, even under the same address, is no longer running."""
    run_ranks()
    assert run_ranks() == ["1 train_1 False", "0 train_1 False"]


def test_ranks_that_are_started_again_continue_their_run() -> None:
    """The launcher starts the same command again, which on its own would begin another run."""
    run_ranks(KILLED="1")
    assert run_ranks(TORCHELASTIC_RESTART_COUNT="1") == ["1 train True", "0 train True"]
    (folder,) = Path("data/local/experiment").iterdir()
    assert [event["event"] for event in attempts(folder)] == ["start", "start", "end"]


def test_a_rank_that_is_called_otherwise_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not train beside the others with arguments of its own."""

    @wrap_experiment
    def train(ctxt: Any, *, lr: float = 0.1) -> None:
        del ctxt, lr

    monkeypatch.setattr(ranks, "_PATIENCE", 0.1)
    for name, value in {
        "RANK": "1",
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ranks.RanksApartError, match=r"rank 1 found no run of rank 0 .*'lr': 0\.5.*without RANK"
    ):
        train(lr=0.5)
    assert not Path("data").exists()


def test_a_world_of_one_is_no_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its run is like any other."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert ranks.Ranks.of_this_process() is None
