"""Whether a script resumes exactly."""

import pickle
import sys
import textwrap
from pathlib import Path

import pytest

from rlx_experiment import Run
from rlx_experiment._cli import main
from rlx_experiment._reports.ignoring import Ignored
from rlx_experiment._reports.snapshot_parts import Comparison, compare_snapshots
from rlx_experiment._reports.verify import ScriptFailedError, compare_logs, verify_resume

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
    with pytest.raises(ValueError, match="kills is 0; it must be at least 1"):
        verify_resume(script("value"), [], Path("others"), kills=0)


def compared(old: object, new: object, *ignore: str) -> Comparison:
    """Compare two runs that saved these states."""
    pytest.importorskip("rlx_snapshot", reason="rlx-snapshot is not installed")
    for name, state in (("a", old), ("b", new)):
        Path(name).mkdir()
        Path(name, "params.pkl").write_bytes(pickle.dumps(state))
    (comparison,) = compare_snapshots(Path("a"), Path("b"), Ignored(ignore))
    return comparison


def test_every_part_that_differs_is_named() -> None:
    """With both contents; what is equal and what only took another time is not."""
    found = compared(
        {"w": 1.0, "n": 1, "same": 3, "elapsed": 5.5}, {"w": 2.0, "n": 2, "same": 3, "elapsed": 6.5}
    )
    assert found.differences == [
        "params.pkl: .w is 1.0 in the unbroken run, 2.0 in the broken one",
        "params.pkl: .n is 1 in the unbroken run, 2 in the broken one",
    ]
    assert found.compared.startswith("4 of 5 parts of params.pkl, but not .elapsed (clocks,")


def test_without_the_snapshot_package_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison needs an extra."""
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "params.pkl").write_bytes(pickle.dumps(name))
    monkeypatch.setitem(sys.modules, "rlx_snapshot", None)
    assert compare_snapshots(Path("a"), Path("b"))[0] == (
        "not params.pkl, which differs in some bytes: to see in which parts, pip install 'rlx-experiment[snapshot]'",
        (),
    )


def test_ignored_parts_are_said() -> None:
    """A pattern covers a part and all in it; one that covers nothing is said too."""
    ignored = Ignored([".clock", ".x?", ".none"])
    compared({"clock": {"a": 1.0}, "x1": 1, "w": 1}, {"clock": {"a": 2.0}, "x1": 2, "w": 2})
    (found,) = compare_snapshots(Path("a"), Path("b"), ignored)
    assert found.differences == ["params.pkl: .w is 1 in the unbroken run, 2 in the broken one"]
    assert ignored.in_words() == [
        ".clock.a (--ignore '.clock')",
        ".x1 (--ignore '.x?')",
        "nothing: no difference is named '.none'",
    ]


def test_only_times_are_left_out() -> None:
    """A count of timesteps is compared, though "time" is in its name."""
    for name, count in (("a", 100), ("b", 101)):
        Path(name).mkdir()
        Path(name, "progress.csv").write_text(
            f"epoch,total_timesteps,EpochTime,steps_per_second\n0,{count},{count},{count}"
        )
    found = compare_logs(Path("a"), Path("b"))
    assert [each.partition(":")[0] for each in found.differences] == [
        "total_timesteps differs first at step 0"
    ]
    assert compare_logs(Path("a"), Path("b"), Ignored(["total_*"])).differences == []
    assert found.compared == "2 logged values, bit by bit, but not EpochTime, steps_per_second"


def test_equal_and_missing_snapshots() -> None:
    """Equal bytes need no reader; a snapshot of one run only is a difference."""
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "params.pkl").write_bytes(b"same")
    Path("b/itr_1.pkl").touch()
    first, second = compare_snapshots(Path("a"), Path("b"))
    assert first.differences == ["itr_1.pkl was saved by the broken run only"]
    assert second == ("params.pkl, byte by byte", ())


def test_all_differences_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """A script that loses a few bits of its state is found out, with tag and step and in its snapshot."""
    pytest.importorskip("rlx_snapshot")
    command = ["verify-resume", "--kills", "2"]
    assert main([*command, str(script("round(value, 12)"))]) == 1
    said = capsys.readouterr().out
    assert "not exact: AverageReturn differs first at step" in said
    assert "not exact: params.pkl: [1] is " in said
    assert (
        main([*command, "--ignore", "AverageReturn", "--ignore", "[[]1]", str(script("round(value, 12)"))])
        == 0
    )
    assert "ignored: AverageReturn (--ignore 'AverageReturn')" in capsys.readouterr().out


def test_a_script_that_ends_too_soon_is_not_verified() -> None:
    """Without a kill there is no verdict."""
    found = verify_resume(script("value"), ["--n-epochs", "0"], Path("runs"))
    assert found.kills == 0
    assert "nothing was verified" in found.differences[0]


def test_a_script_that_fails_says_so() -> None:
    """An error of the script is not taken for a difference."""
    with pytest.raises(ScriptFailedError, match="broken by itself"):
        verify_resume(script("value"), ["--fail"], Path("runs"))
