"""Which runs count in scores and curves, and what is said of those that do not."""

import json
from pathlib import Path

import pytest

from rlx_experiment import ExperimentContext, wrap_experiment
from rlx_experiment._cli import main
from rlx_experiment._lock import RunLock
from rlx_experiment._reports.groups import group_runs, left_out
from rlx_experiment._reports.report import write_report
from rlx_experiment._reports.scores import Scores, score_runs
from rlx_experiment._runs.index import find_runs


@wrap_experiment(name_parameters="passed")
def train(ctxt: ExperimentContext, *, seed: int | None = None, lr: float = 0.1, stop_at: int = 60) -> None:
    """Log a return that grows, and fail at an epoch."""
    rows = "".join(f"{epoch},{epoch + (seed or 0)}\n" for epoch in range(stop_at))
    Path(ctxt.snapshot_dir, "progress.csv").write_text("epoch,AverageReturn\n" + rows)
    if stop_at < 60:
        raise RuntimeError("diverged\nat the end")


def log(folder: str, values: list[str]) -> None:
    """Replace what a run logged."""
    rows = "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values))
    Path(folder, "progress.csv").write_text("epoch,AverageReturn\n" + rows)


def scores(**options: object) -> Scores:
    """Return the scores of all runs, over the epoch at which they fail."""
    return score_runs(find_runs("data"), over=["stop_at"])


def test_a_failed_run_counts_nowhere() -> None:
    """Its last values are those of the middle of a training: neither score nor curve has them."""
    for seed in (1, 2):
        train(seed=seed)
    with pytest.raises(RuntimeError, match="diverged"):
        train(seed=3, stop_at=20)
    found = scores()
    assert [estimate.value for estimate in found.estimates if estimate] == [56.0]
    assert found.table().rows[0][1] == "2 of 3"
    assert found.sentences()[0] == "Left out of the scores: 1 run."
    assert found.sentences()[1].endswith(": failed at step 19: RuntimeError: diverged")
    assert find_runs("data")[-1].status.error == "RuntimeError: diverged"
    (group,) = group_runs(find_runs("data"), over=["stop_at"])
    assert max(max(member.curves["AverageReturn"][0]) for member in group.counted) == 59


def test_a_curve_is_not_cut_at_a_failed_run() -> None:
    """The page draws the finished runs of a group as far as they go."""
    train({"log_dir": "data/a"}, seed=1)
    train({"log_dir": "data/b"}, seed=2)
    status = Path("data/b/status.json")
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "failed"}))
    log("data/b", ["1"] * 20)
    write_report("report.html", find_runs("data"))
    data = json.loads(Path("report.html").read_text().partition('id="data">')[2].partition("</script>")[0])
    (group,) = data["groups"]
    assert group["curves"]["AverageReturn"]["x"][-1] == 59
    assert group["scores"]["AverageReturn"] == [55.5, None, None]


def test_a_seed_that_was_run_again_counts_once() -> None:
    """The newest finished run of a seed counts, and the older one is named."""
    for name, seed in (("a", 1), ("b", 2), ("c", 1)):
        train({"log_dir": f"data/{name}"}, seed=seed)
    log("data/a", ["1000"] * 60)
    found = scores()
    assert [estimate.value for estimate in found.estimates if estimate] == [56.0]
    assert found.sentences()[1] == "  a: its seed was run again in c, which counts"


def test_a_seed_counts_though_it_failed_when_it_was_run_again() -> None:
    """A newer attempt that failed takes nothing away."""
    train({"log_dir": "data/a"}, seed=1)
    with pytest.raises(RuntimeError, match="diverged"):
        train({"log_dir": "data/b"}, seed=1, stop_at=20)
    (group,) = scores().groups
    assert [member.run.path.name for member in group.counted] == ["a"]


def test_runs_without_a_seed_all_count() -> None:
    """Where nothing tells a repetition from a replicate, each run is one."""
    for name in "ab":
        train({"log_dir": f"data/{name}"})
    assert scores().table().rows[0][1] == "2"


def test_a_run_that_ends_in_nan_is_left_out_and_named() -> None:
    """Neither the NaN nor what was before it is a score."""
    train({"log_dir": "data/a"}, seed=1)
    train({"log_dir": "data/b"}, seed=2)
    log("data/b", ["5"] * 50 + ["nan"] * 10)
    found = scores()
    assert found.table().rows[0][1:3] == ("1 of 2", "55.50")
    assert found.sentences()[1] == "  b: AverageReturn is not finite at its end"


def test_one_seed_has_no_interval() -> None:
    """A bootstrap of one run would be a point that looks certain."""
    train(seed=1)
    assert scores().table().rows[0][2:4] == ("55.50", "-")


def test_a_group_without_a_finished_run_has_no_score() -> None:
    """It is in the table all the same."""
    train({"log_dir": "data/live"}, seed=1)
    status = Path("data/live/status.json")
    status.write_text(json.dumps({**json.loads(status.read_text()), "state": "running"}))
    lock = RunLock(Path("data/live"))
    assert scores().table().rows[0] == ("train", "0 of 1", "-", "-", "1 running")
    lock.close()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("arguments.json", b"{"),
        ("arguments.json", b"[1, 2]"),
        ("arguments.json", b'{"model": "of another tool"}'),
        ("arguments.json", b"[" * 100_000),
        ("status.json", b"\xff\xfe"),
        ("status.json", b'{"state": "done"}'),
        ("status.json", b'{"state": "finished", "started": "yesterday"}'),
        ("metadata.json", b"{"),
        ("progress.csv", b"\xff\x00\xfe"),
    ],
)
def test_a_damaged_file_is_named(name: str, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    """A run with a file that cannot be read is left out of the scores in words, and hides no other."""
    train({"log_dir": "data/good"}, seed=1)
    train({"log_dir": "data/bad"}, seed=2)
    Path("data/bad", name).write_bytes(content)
    runs = find_runs("data")
    ((run, why),) = left_out(runs, group_runs(runs), "AverageReturn")
    assert run.path.name == "bad"
    assert name in why
    assert main(["table", "data"]) == 0
    assert "Left out of the scores: 1 run." in capsys.readouterr().out
    if name != "progress.csv":
        assert main(["list", "data"]) == 0
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("bad")]
        assert "damaged" in line
        assert name in line


def test_a_missing_file_is_damage(capsys: pytest.CaptureFixture[str]) -> None:
    """A run folder without what makes it one is listed, too."""
    train({"log_dir": "data/bad"}, seed=2)
    Path("data/bad/arguments.json").unlink()
    (run,) = find_runs("data")
    assert run.state == "damaged"
    assert "arguments.json is damaged (it is missing)" in run.status.error


def test_a_file_damaged_in_place_is_seen() -> None:
    """What the index remembers of a run holds no longer than its files."""
    import os

    train({"log_dir": "data/run"}, seed=1)
    for path in (*Path("data/run").iterdir(), Path("data/run")):
        os.utime(path, ns=(0, 0))
    assert [run.state for run in find_runs("data")] == ["finished"]
    Path("data/run/status.json").write_text("{")
    assert [run.state for run in find_runs("data")] == ["damaged"]


@wrap_experiment(name_parameters="passed")
def tell(ctxt: ExperimentContext, *, seed: int, kind: str | int | None = "a", note: str = "-") -> None:
    """Log one value."""
    log(ctxt.snapshot_dir, ["1"] * 20)


def test_experiments_of_one_name_are_not_pooled() -> None:
    """The scores of two files with a `train` each stay apart, and their labels tell which is which."""
    for module, seed in (("a2c", 1), ("a2c", 2), ("ppo", 1), ("ppo", 2)):
        tell({"log_dir": f"data/{module}{seed}"}, seed=seed)
        log(f"data/{module}{seed}", ["0.1" if module == "a2c" else "0.2"] * 20)
    runs = [run._replace(experiment=f"{Path(run.folder).name[:3]}.py:train") for run in find_runs("data")]
    found = score_runs(runs)
    assert {group.label: len(group.counted) for group in found.groups} == {
        "a2c.py:train": 2,
        "ppo.py:train": 2,
    }
    assert [estimate.value for estimate in found.estimates if estimate] == pytest.approx([0.1, 0.2])


def test_a_whole_number_is_the_same_in_either_type() -> None:
    """1 and 1.0 are one setting; True is another one."""
    for number, kind in enumerate((1, 1.0, True)):
        tell({"log_dir": f"data/{number}"}, seed=number, kind=kind)
    groups = group_runs(find_runs("data"))
    assert sorted(len(group.counted) for group in groups) == [1, 2]


def test_values_that_look_alike_are_not_pooled() -> None:
    """A number and the text that looks like it, or a value with another's name in it, are groups of their own."""
    for number, (kind, note) in enumerate(((3, "-"), ("3", "-"), ("3 note=-", "-"), ("3", "- note=-"))):
        tell({"log_dir": f"data/{number}"}, seed=1, kind=kind, note=note)
    groups = group_runs(find_runs("data"))
    assert [len(group.counted) for group in groups] == [1, 1, 1, 1]
    assert len({group.label for group in groups}) == 4
