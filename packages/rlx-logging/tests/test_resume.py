"""Cutting logs back to a snapshot."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rlx_logging import GapWarning, ShorterLogWarning, make_logger, read_metrics


def save(epoch: int, env_step: int, gradient_step: int) -> str:
    """Stand for a trainer's checkpoint hook."""
    return f"checkpoint {epoch} {env_step} {gradient_step}"


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


def test_a_state_of_a_logger_without_files_leaves_earlier_rows_alone(tmp_path: Path) -> None:
    """A run that continued for a while without logging keeps what it had logged before."""
    first = make_logger("csv", log_dir=tmp_path)
    first.write("info/epoch", 0, {"r": 0.0})
    first.finalize()
    silent = make_logger("none", log_dir=tmp_path)
    silent.load_state_dict(first.state_dict())
    again = make_logger("csv", log_dir=tmp_path)
    again.load_state_dict(silent.state_dict())
    again.write("info/epoch", 5, {"r": 5.0})
    again.finalize()
    assert read_metrics(tmp_path)["info/r"].steps.tolist() == [0, 5]
    assert len((tmp_path / "progress.csv").read_text().splitlines()) == 3


def test_fork_begins_with_the_other_runs_rows_and_leaves_it_alone(tmp_path: Path) -> None:
    """A run that continues in a folder of its own has the rows up to the snapshot, the source keeps all."""
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


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_the_umask_decides_who_may_read_the_files(tmp_path: Path) -> None:
    """Logs, copies of them and records are as open to a group as any other new file."""
    before = os.umask(0o027)
    try:
        parent = make_logger("csv", log_dir=tmp_path / "parent")
        parent.write("info/epoch", 0, {"r": 0.0})
        parent.save_data(1, 10, 100, save)
        child = make_logger("csv", log_dir=tmp_path / "child")
        child.fork_from(tmp_path / "parent", parent.state_dict())
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 10
    assert {path.stat().st_mode & 0o777 for path in files} == {0o640}
    parent.finalize()
    child.finalize()


def test_names_are_written_again_after_a_cut(tmp_path: Path) -> None:
    """A logger that continues in the same process can be read though its first rows are gone."""
    logger = make_logger("csv", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    logger.load_state_dict({})
    logger.write("info/epoch", 0, {"r": 1.0})
    logger.finalize()
    assert read_metrics(tmp_path)["info/r"].values.tolist() == [1.0]
    assert (tmp_path / "progress.csv").read_text().splitlines()[1].startswith("0,1.0,")


def test_gates_and_the_record_of_save_data_are_restored(tmp_path: Path) -> None:
    """What a trainer would find is what the snapshot was taken with."""
    first = make_logger("csv", log_dir=tmp_path)
    first.log_test_data({"r": 1.0}, 7)
    first.save_data(1, 10, 100, save)
    state = first.state_dict()
    first.log_test_data({"r": 1.0}, 8)
    first.save_data(2, 20, 200, save)
    first.finalize()
    second = make_logger("csv", log_dir=tmp_path)
    second.load_state_dict(state)
    assert second.last_log_test_step == 7
    assert second.restore_data() == (1, 10, 100)
    second.load_state_dict({})
    assert second.last_log_test_step == -1
    assert second.restore_data() == (0, 0, 0)


def test_a_relative_folder_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its working directory continues logging into the same folder."""
    monkeypatch.chdir(tmp_path)
    logger = make_logger("csv", log_dir="run")
    logger.write("info/epoch", 0, {"r": 0.0})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    logger.write("train/env_step", 1, {"loss": 0.5})
    assert sorted(logger.state_dict()["files"]) == ["metrics.rlxj", "progress-train.csv", "progress.csv"]
    logger.finalize()
    assert read_metrics(tmp_path / "run")["train/loss"].values.tolist() == [0.5]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_state_is_plain(tmp_path: Path) -> None:
    """It can be stored without this package."""
    logger = make_logger("csv,tensorboard", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    state = logger.state_dict()
    assert json.loads(json.dumps(state)) == state
    logger.finalize()


def test_a_newer_state_is_refused(tmp_path: Path) -> None:
    """Nothing is cut by a state that is not understood."""
    logger = make_logger("csv", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    with pytest.raises(ValueError, match="has format 2; this version reads 1"):
        logger.load_state_dict({"format": 2})
    assert (tmp_path / "progress.csv").exists()
    logger.finalize()


@pytest.mark.parametrize("missing", [True, False])
def test_a_log_that_is_shorter_than_the_snapshot_says(tmp_path: Path, missing: bool) -> None:
    """It is warned of, and training continues from what is there."""
    logger = make_logger("csv", log_dir=tmp_path)
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"r": 0.0})
    state = logger.state_dict()
    logger.finalize()
    path = tmp_path / "metrics.rlxj"
    if missing:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10])
    with pytest.warns(
        ShorterLogWarning, match="is missing" if missing else "but the snapshot was taken when it had"
    ):
        logger.load_state_dict(state)
    logger.write("info/epoch", 3, {"r": 0.0})
    logger.finalize()
    assert read_metrics(tmp_path)["info/r"].steps.tolist() == ([3] if missing else [0, 1, 3])


@pytest.mark.parametrize("longer", [0, 500])
def test_a_log_that_was_overwritten_after_the_snapshot(tmp_path: Path, longer: int) -> None:
    """Other bytes of the same length, or of a greater one, are not taken for the rows of the snapshot."""
    logger = make_logger("csv", log_dir=tmp_path)
    for epoch in range(3):
        logger.write("info/epoch", epoch, {"r": 0.0})
    state = logger.state_dict()
    logger.finalize()
    path = tmp_path / "metrics.rlxj"
    path.write_bytes(b"x" * (path.stat().st_size + longer))
    with pytest.warns(ShorterLogWarning, match="does not hold what it held when the snapshot was taken"):
        logger.load_state_dict(state)
    logger.finalize()


def test_a_state_without_checksums_is_taken_at_its_word(tmp_path: Path) -> None:
    """States of the first version had none."""
    logger = make_logger("csv", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    state = logger.state_dict()
    del state["ends"]
    logger.write("info/epoch", 1, {"r": 0.0})
    logger.load_state_dict(state)
    logger.finalize()
    assert read_metrics(tmp_path)["info/r"].steps.tolist() == [0]


def test_files_of_others_are_never_touched(tmp_path: Path) -> None:
    """Even when they look like logs."""
    names = ["events.out.tfevents.1.other.2.0", "progress-eval.csv", "debug.log", "params.pkl"]
    for name in names:
        (tmp_path / name).write_bytes(b"not ours")
    logger = make_logger("csv,tensorboard", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    state = logger.state_dict()
    logger.load_state_dict(state)
    logger.load_state_dict({})
    assert sorted(state["files"])[0].startswith("events.out.tfevents.1")
    assert all((tmp_path / name).read_bytes() == b"not ours" for name in names)


def test_after_a_cut_tensorboard_gets_a_new_file(tmp_path: Path) -> None:
    """A TensorBoard that reads the old one notices nothing odd, and finds nothing under `discarded/`."""
    logger = make_logger("tensorboard", log_dir=tmp_path)
    logger.write("info/epoch", 0, {"r": 0.0})
    state = logger.state_dict()
    logger.write("info/epoch", 1, {"r": 1.0})
    logger.load_state_dict(state)
    logger.write("info/epoch", 1, {"r": 1.0})
    logger.finalize()
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2
    assert len(list(tmp_path.rglob("*tfevents*"))) == 2
    assert len(list((tmp_path / "discarded/1").iterdir())) == 2


def test_a_backend_that_was_off_for_a_while_says_what_it_lacks(tmp_path: Path) -> None:
    """A run that went from CSV to TensorBoard and back has the gap in its table, and all rows in the journal."""
    state: dict[str, Any] = {}
    for attempt, name in enumerate(("csv", "tensorboard", "csv")):
        logger = make_logger(name, log_dir=tmp_path)
        if attempt:
            with pytest.warns(GapWarning, match=f"{name} was not among the backends .* the journal has them"):
                logger.load_state_dict(state)
        for epoch in (2 * attempt, 2 * attempt + 1):
            logger.write("info/epoch", epoch, {"r": 0.0})
        state = logger.state_dict()
        logger.finalize()
    assert read_metrics(tmp_path)["info/r"].steps.tolist() == [0, 1, 2, 3, 4, 5]
    rows = (tmp_path / "progress.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["0", "1", "4", "5"]


def test_a_console_that_was_off_lacks_nothing(tmp_path: Path) -> None:
    """It keeps no rows; and nothing is lacking where nothing was logged before."""
    first = make_logger("csv", log_dir=tmp_path)
    first.write("info/epoch", 0, {"r": 0.0})
    make_logger("csv, console", log_dir=tmp_path).load_state_dict(first.state_dict())
    make_logger("tensorboard", log_dir=tmp_path).load_state_dict({})
    empty = make_logger("csv", log_dir=tmp_path / "new").state_dict()
    make_logger("tensorboard", log_dir=tmp_path / "new").load_state_dict(empty)
