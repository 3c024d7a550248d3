"""Several processes have one snapshot: all of it or none, whoever dies and whenever."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.timeout(400), pytest.mark.processes]

if importlib.util.find_spec("torch") is None:
    pytest.skip("No module named 'torch': its ranks are the processes", allow_module_level=True)

MOMENTS = ["before writing", "written", "all have written", "committed"]
PARTS = ["params.pkl", "ranks/0/itr_6.pkl", "ranks/0/itr_8.pkl", "ranks/1/itr_6.pkl", "ranks/1/itr_8.pkl"]
Found = dict[str, Any]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Return what came of all loops of the program."""
    program = Path(__file__).with_name("rank_runs.py")
    command = [sys.executable, str(program), str(tmp_path_factory.mktemp("ranks"))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answer: Found = json.loads(done.stdout)
    return answer


def values(outcomes: list[Any]) -> list[Any]:
    """Return what an exact resume must get right."""
    return [(outcome["weight"], outcome["drawn"]) for outcome in outcomes]


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rank_dies_at_any_moment_of_a_commit(found: Found, moment: str, victim: int) -> None:
    """All ranks continue from one step, as if none had died, and nothing is left of what was not committed."""
    case = found[f"{moment}, rank {victim}"]
    assert case["died"] == 9
    assert values(case["again"]) == values(found["unbroken"])
    assert case["again"][0]["exactness"].startswith("grade A")
    assert case["files"] == PARTS


def test_ranks_have_streams_of_their_own(found: Found) -> None:
    """What the comparison above holds together is different from rank to rank."""
    first, second = found["unbroken"]
    assert first["weight"][0] == second["weight"][0]
    assert all(one != other for one, other in zip(first["drawn"], second["drawn"], strict=True))


@pytest.mark.parametrize(("case", "now"), [("three refuse", 3), ("one refuses", 1)])
def test_another_number_of_processes_is_refused(found: Found, case: str, now: int) -> None:
    """They would have other shares of the data and other noise."""
    assert len(found[case]) == now
    for said in found[case]:
        assert said.startswith("StatisticalResumeError")
        assert f"number of learner processes was 2, is {now}" in said


def test_another_number_of_processes_can_be_allowed(found: Found) -> None:
    """A new rank begins with the parts of another, and draws from global generators of its own."""
    first, second, third = found["three"]
    assert first["weight"] == third["weight"] == values(found["unbroken"])[0][0]
    assert second["weight"] == values(found["unbroken"])[1][0]
    assert all(one != other for one, other in zip(first["drawn"][1:], third["drawn"][1:], strict=True))


def test_all_stop_where_one_is_asked(found: Found) -> None:
    """A signal that reaches one process ends all of them after the same step, which they continue from."""
    message = "TrainingStopped: Stopped after 4 of 50 steps. It resumes there"
    assert [said.startswith(message) for said in found["stopped"]] == [True, True]
    assert values(found["continued"]) == values(found["unbroken"])


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("lost", "the part of rank 1 is not in"),
        ("damaged", "rank 0 cannot load the snapshot"),
    ],
)
def test_what_one_process_cannot_load_is_said_by_all(found: Found, case: str, words: str) -> None:
    """None begins at the first step while another one continues, and none waits for ever."""
    assert [words in said for said in found[case]] == [True, True]


def test_a_store_of_ones_own_is_refused(found: Found) -> None:
    """One store cannot tell the states of two processes apart."""
    assert any("it must be None where several processes train (2 here)" in said for said in found["store"])


def test_a_mode_with_two_files_is_refused(found: Found) -> None:
    """What it would keep beside the newest is not counted."""
    assert any("not 'gap_and_last'; use 'gap' or 'last'" in said for said in found["two files"])


def test_all_snapshots_can_be_kept(found: Found) -> None:
    """Each rank has a part of each."""
    parts = [f"itr_{number}.pkl" for number in (0, 2, 4)]
    assert found["all"] == parts + [f"ranks/{rank}/{part}" for rank in (0, 1) for part in parts]


def test_shards_of_a_net_and_its_optimizer_continue(found: Found) -> None:
    """Each rank saves and gets back what it holds, the optimizer's moments included."""
    first, second = found["shards"]
    assert found["shards again"] == [first, second]
    assert first != second


def test_shards_of_another_shape_are_refused(found: Found) -> None:
    """The message names them."""
    assert all("0.weight" in said and "must have the shapes" in said for said in found["other shards"])


def test_an_algorithm_of_a_runner_continues_in_all_ranks(found: Found) -> None:
    """LocalRunner commits and continues in the same way."""
    assert found["runner again"] == found["runner"]
    assert found["runner"][0] == found["runner"][1] > 0


def test_a_budget_ends_all_processes(found: Found) -> None:
    """Those whose own budget is not used up end with the others."""
    assert found["budget"][0] == found["budget"][1]


def test_processes_that_do_not_know_each_other_are_refused(found: Found) -> None:
    """Started by torchrun without a process group, each would write the same file."""
    assert "call torch.distributed.init_process_group() first" in found["unknown"][0]
