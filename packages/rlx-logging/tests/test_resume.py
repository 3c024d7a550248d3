"""Cutting logs back to a snapshot."""

from pathlib import Path

from rlx_logging import make_logger, read_metrics


def test_rows_after_the_snapshot_are_cut(tmp_path: Path) -> None:
    """After a resume every step is there once."""
    first = make_logger("csv,jsonl,tensorboard", log_dir=tmp_path)
    for epoch in range(3):
        first.write("info/epoch", epoch, {"r": float(epoch)})
    state = first.state_dict()
    first.write("info/epoch", 3, {"r": 3.0})
    first.finalize()
    second = make_logger("csv,jsonl,tensorboard", log_dir=tmp_path)
    second.load_state_dict(state)
    for epoch in (3, 4):
        second.write("info/epoch", epoch, {"r": float(epoch)})
    second.finalize()
    assert read_metrics(tmp_path)["info/r"].steps.tolist() == [0, 1, 2, 3, 4]
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 6
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 5


def test_nothing_committed_takes_own_files_away_and_no_others(tmp_path: Path) -> None:
    """An empty state moves all own files to `discarded/`."""
    (tmp_path / "notes.txt").write_text("mine")
    logger = make_logger("csv", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    logger.load_state_dict({})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["discarded", "logs.manifest", "notes.txt"]
    assert (tmp_path / "discarded/1/progress.csv").is_file()


def test_fork_begins_with_the_other_runs_rows_and_leaves_it_alone(tmp_path: Path) -> None:
    """A run that goes on in a folder of its own has the rows up to the snapshot, the source keeps all."""
    parent = make_logger("csv,tensorboard", log_dir=tmp_path / "parent")
    for epoch in range(2):
        parent.write("info/epoch", epoch, {"r": float(epoch)})
    state = parent.state_dict()
    parent.write("info/epoch", 2, {"r": 2.0})
    parent.finalize()
    before = {path.name: path.read_bytes() for path in (tmp_path / "parent").iterdir() if path.is_file()}
    child = make_logger("csv,tensorboard", log_dir=tmp_path / "child")
    child.write("info/epoch", 9, {"r": 9.0})
    child.fork_from(tmp_path / "parent", state)
    child.write("info/epoch", 2, {"r": -2.0})
    child.finalize()
    assert read_metrics(tmp_path / "child")["info/r"].values.tolist() == [0.0, 1.0, -2.0]
    assert {
        path.name: path.read_bytes() for path in (tmp_path / "parent").iterdir() if path.is_file()
    } == before
