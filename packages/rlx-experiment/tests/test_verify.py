"""Whether a script resumes exactly."""

import pickle
import textwrap
from pathlib import Path

import pytest

from rlx_experiment import Run
from rlx_experiment._cli import main
from rlx_experiment._reports.verify import ScriptFailedError, compare_logs, compare_snapshots, verify_resume

pytestmark = pytest.mark.processes

pytest.importorskip("tyro")

TRAINER = """
import os, pickle, time
from pathlib import Path
from rlx_experiment import wrap_experiment

@wrap_experiment
def train(ctxt, n_epochs: int = 25, fail: bool = False):
    folder = Path(ctxt.snapshot_dir)
    snapshot, log = folder / "params.pkl", folder / "progress.csv"
    epoch, value, rows = 0, 1.0, ["epoch,AverageReturn,EpochTime"]
    if snapshot.exists():
        epoch, value = pickle.loads(snapshot.read_bytes())
        rows = log.read_text().splitlines()[: epoch + 1]
    while epoch < n_epochs:
        value = 3.9 * value * (1 - value / 4)
        rows.append(f"{epoch},{value!r},{time.time()}")
        epoch += 1
        if fail:
            raise RuntimeError("broken by itself")
        for path, content in ((log, "\\n".join(rows).encode()), (snapshot, pickle.dumps((epoch, SAVED)))):
            temporary = folder / "temporary"
            temporary.write_bytes(content)
            os.replace(temporary, path)
        time.sleep(0.02)

if __name__ == "__main__":
    train.main()
"""


def script(saved: str) -> Path:
    """Write a training script that saves `saved` as its state."""
    path = Path("train.py")
    path.write_text(textwrap.dedent(TRAINER).replace("SAVED", saved))
    return path


def test_an_exact_script_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that saves all of its state passes; wall-clock values do not count."""
    assert main(["verify-resume", "--kills", "2", str(script("value"))]) == 0
    compared, exact = capsys.readouterr().out.split("exact: ")
    assert "50 logged values, bit by bit, but not EpochTime" in compared
    assert "after 2 kills" in exact


def test_the_kills_are_those_that_were_made() -> None:
    """A run that ends before the last kill says so."""
    verdict = verify_resume(script("value"), ["--n-epochs", "12"], Path("runs"), kills=50)
    assert 0 < verdict.kills < 50
    attempts = Run.open("runs/broken").attempts
    assert sum(event["event"] == "start" for event in attempts) in (verdict.kills + 1, verdict.kills + 2)
    with pytest.raises(ValueError, match="kills should be at least 1, not 0"):
        verify_resume(script("value"), [], Path("others"), kills=0)


@pytest.mark.parametrize("found", [True, False])
def test_snapshots_are_compared_part_by_part(monkeypatch: pytest.MonkeyPatch, found: bool) -> None:
    """A part that differs is named, parts of the process do not count, and what is not compared is said."""
    pytest.importorskip("rlx_snapshot", reason="rlx-snapshot is not installed")
    for name, state in (("a", {"w": 1.0, "elapsed": 5}), ("b", {"w": 1.0 + found, "elapsed": 6})):
        Path(name).mkdir()
        Path(name, "params.pkl").write_bytes(pickle.dumps(state))
    (comparison,) = compare_snapshots(Path("a"), Path("b"))
    assert comparison.compared.startswith("2 of 3 parts of params.pkl, but not .elapsed (process,")
    assert comparison.difference == ("params.pkl: .w" if found else None)
    monkeypatch.setenv("PYTHONPATH", str(Path("empty").absolute()))
    Path("empty").mkdir()
    Path("empty/rlx_snapshot.py").write_text("raise ModuleNotFoundError('No module named rlx_snapshot')")
    (comparison,) = compare_snapshots(Path("a"), Path("b"))
    assert comparison == (
        "not params.pkl, which differs in some bytes: to see in which parts, pip install 'rlx-experiment[snapshot]'",
        None,
    )


def test_skipped_parts_of_snapshots_are_named() -> None:
    """Each part that is left out is named; of very many the first are, and the rest counted."""
    pytest.importorskip("rlx_snapshot", reason="rlx-snapshot is not installed")
    for name, value in (("a", 0), ("b", 1)):
        Path(name).mkdir()
        few = {"elapsed": value, "versions": {"numpy": value, "torch": 7}}
        many = {"threads": {f"pool{i}": value for i in range(10)}}
        Path(name, "few.pkl").write_bytes(pickle.dumps(few))
        Path(name, "many.pkl").write_bytes(pickle.dumps(many))
        Path(name, "none.pkl").write_bytes(pickle.dumps({"w": value}))
    few_found, many_found, none_found = compare_snapshots(Path("a"), Path("b"))
    assert "of few.pkl, but not .elapsed, .versions.numpy (process," in few_found.compared
    assert ".threads.pool7, 2 more (process," in many_found.compared
    assert none_found.compared.endswith("parts of none.pkl")


def test_each_process_has_its_own_hash_seed() -> None:
    """A snapshot that records the seed of hashing is exact where only that seed differs: each process is given another."""
    pytest.importorskip("rlx_snapshot", reason="rlx-snapshot is not installed")
    for name, seed, flags in (("a", "1", None), ("b", "2", None), ("c", "1", "--fast")):
        Path(name).mkdir()
        process = {"$PYTHONHASHSEED": seed, "$XLA_FLAGS": flags}
        Path(name, "params.pkl").write_bytes(pickle.dumps({"process": process}))
    (seeds,) = compare_snapshots(Path("a"), Path("b"))
    (flags_differ,) = compare_snapshots(Path("a"), Path("c"))
    assert seeds.difference is None
    assert flags_differ.difference == "params.pkl: .process['$XLA_FLAGS']"


def test_only_times_are_left_out() -> None:
    """A count of timesteps is compared, though "time" is in its name."""
    for name, count in (("a", 100), ("b", 101)):
        Path(name).mkdir()
        Path(name, "progress.csv").write_text(
            f"epoch,total_timesteps,EpochTime,steps_per_second\n0,{count},{count},{count}"
        )
    found = compare_logs(Path("a"), Path("b"))
    assert str(found.difference).startswith("total_timesteps differs first at step 0")
    assert found.compared == "2 logged values, bit by bit, but not EpochTime, steps_per_second"


def test_equal_and_missing_snapshots() -> None:
    """Equal bytes need no reader; a snapshot of one run only is a difference."""
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "params.pkl").write_bytes(b"same")
    Path("b/itr_1.pkl").touch()
    first, second = compare_snapshots(Path("a"), Path("b"))
    assert first.difference == "itr_1.pkl was saved by the broken run only"
    assert second == ("params.pkl, byte by byte", None)


def test_the_first_difference_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that loses a few bits of its state is found out, with tag and step."""
    assert main(["verify-resume", "--kills", "2", str(script("round(value, 12)"))]) == 1
    assert "not exact: AverageReturn differs first at step" in capsys.readouterr().out


def test_a_script_that_ends_too_soon_is_not_verified() -> None:
    """Without a kill there is no verdict."""
    found = verify_resume(script("value"), ["--n-epochs", "0"], Path("runs"))
    assert found.kills == 0
    assert "nothing was verified" in str(found.difference)


def test_a_script_that_fails_says_so() -> None:
    """An error of the script is not taken for a difference."""
    with pytest.raises(ScriptFailedError, match="broken by itself"):
        verify_resume(script("value"), ["--fail"], Path("runs"))
