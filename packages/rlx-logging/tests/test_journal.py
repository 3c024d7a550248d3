"""The metric journal."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_logging import JournalLogger, Metrics, read_metrics

EXACT = [2.0**24 + 1, 1e300, -0.0, 5e-324, math.nan, math.inf, -math.inf, 1 / 3]


def test_values_are_exact(tmp_path: Path) -> None:
    """Every float64 comes back bit for bit."""
    logger = JournalLogger(tmp_path)
    for step, value in enumerate(EXACT):
        logger.write("info/epoch", step, {"v": value})
    logger.finalize()
    values = read_metrics(tmp_path)["info/v"].values
    assert values.tobytes() == np.array(EXACT).tobytes()


def test_steps_are_exact_integers(tmp_path: Path) -> None:
    """Steps are 64-bit integers, also where float64 has gaps."""
    logger = JournalLogger(tmp_path)
    steps = [-(2**63), -1, 2**53 + 1, 2**63 - 1]
    for step in steps:
        logger.write("info/epoch", step, {"v": 1.0})
    logger.finalize()
    assert read_metrics(tmp_path)["info/v"].steps.tolist() == steps


def test_whole_numbers_beyond_float64_become_infinite(tmp_path: Path) -> None:
    """They are logged rather than dropped."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 10**400, "b": -(10**400), "c": 1})
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert [metrics[f"info/{key}"].values[0] for key in "abc"] == [math.inf, -math.inf, 1.0]


def test_a_call_that_returned_is_on_file(tmp_path: Path) -> None:
    """Nothing waits in a buffer."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"v": 1.0})
    assert read_metrics(tmp_path)["info/v"].values.tolist() == [1.0]
    logger.finalize()


def test_arrays_are_exact(tmp_path: Path) -> None:
    """An array comes back with its type, shape and bytes."""
    logger = JournalLogger(tmp_path, exclude_arrays=False)
    array = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
    logger.log_info_data({"grad": array, "loss": 1.0}, 4)
    logger.finalize()
    metrics = read_metrics(tmp_path)
    ((step, read),) = metrics.arrays["info/grad"]
    assert step == 4
    assert read.dtype == np.float32
    assert read.tobytes() == array.tobytes()
    assert metrics["info/loss"].values.tolist() == [1.0]


def test_reopening_appends(tmp_path: Path) -> None:
    """A second logger in the same folder continues after the first."""
    for attempt in range(3):
        logger = JournalLogger(tmp_path)
        logger.write("info/epoch", attempt, {"v": float(attempt)})
        logger.finalize()
    assert read_metrics(tmp_path)["info/v"].values.tolist() == [0.0, 1.0, 2.0]


def test_two_loggers_at_once_lose_nothing(tmp_path: Path) -> None:
    """Rows of two writers with different keys interleave in one file."""
    one, two = JournalLogger(tmp_path), JournalLogger(tmp_path)
    for step in range(5):
        one.write("train/env_step", step, {"a": 1.0})
        two.write("test/env_step", step, {"b": 2.0})
    one.finalize()
    two.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["train/a"].steps.tolist() == metrics["test/b"].steps.tolist() == [0, 1, 2, 3, 4]


def test_a_tag_in_rows_of_different_keys_keeps_its_order(tmp_path: Path) -> None:
    """Values of one tag are in the order they were logged, whatever stood beside them."""
    logger = JournalLogger(tmp_path)
    for step in range(20):
        logger.write("info/epoch", step, {"v": float(step)} | ({"more": 1.0} if step % 3 else {}))
    logger.finalize()
    assert read_metrics(tmp_path)["info/v"].values.tolist() == list(range(20))


def test_ten_bytes_a_scalar(tmp_path: Path) -> None:
    """A row of twenty scalars takes at most ten bytes for each of them."""
    logger = JournalLogger(tmp_path)
    row = {f"key{index}": 0.5 for index in range(20)}
    logger.write("info/epoch", 0, row)
    before = (tmp_path / "metrics.rlxj").stat().st_size
    logger.write("info/epoch", 1, row)
    assert (tmp_path / "metrics.rlxj").stat().st_size - before <= 200
    logger.finalize()


def test_a_tag_and_one_below_it(tmp_path: Path) -> None:
    """Where `a` and `a/b` are both logged, the values of `a` are under the empty key."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"a": 1.0, "a/b": 2.0})
    logger.write("info/epoch", 1, {"c/d": 3.0, "c": 4.0})
    logger.finalize()
    restored: Any = JournalLogger.restore_logged_data(str(tmp_path))
    info = restored["info"]
    assert {name: {key: list(value) for key, value in info[name].items()} for name in "ac"} == {
        "a": {"": [1.0], "b": [2.0]},
        "c": {"d": [3.0], "": [4.0]},
    }


def _small_journal(folder: Path) -> bytes:
    logger = JournalLogger(folder, exclude_arrays=False)
    for step in range(12):
        logger.write("train/env_step", step, {"a": step / 3, "b": 1.0})
        if step % 4 == 0:
            logger.write("test/env_step", step, {"r": step / 7})
    logger.log_hparams({"lr": 0.1})
    logger.finalize()
    return (folder / "metrics.rlxj").read_bytes()


def _points(folder: Path, data: bytes) -> tuple[set[tuple[str, int, float]], int]:
    path = folder / "damaged.rlxj"
    path.write_bytes(data)
    metrics = read_metrics(path)
    points = {
        (tag, int(step), float(value))
        for tag, series in metrics.items()
        for step, value in zip(series.steps, series.values, strict=True)
    }
    return points, metrics.damaged


def test_damage_to_any_byte_costs_at_most_its_record(tmp_path: Path) -> None:
    """Whichever byte is flipped, at most one row is lost, no wrong point appears, and it is noticed."""
    data = _small_journal(tmp_path)
    whole, damaged = _points(tmp_path, data)
    assert damaged == 0
    for position in range(len(data)):
        spoiled = bytearray(data)
        spoiled[position] ^= 0xFF
        points, damaged = _points(tmp_path, bytes(spoiled))
        assert points <= whole
        assert len(whole - points) <= 3  # the step and two values of one row
        assert damaged == 1


def test_a_torn_tail_costs_at_most_its_record(tmp_path: Path) -> None:
    """Wherever the file ends, every row before the end is read."""
    data = _small_journal(tmp_path)
    rows_before = [0]
    for length in range(1, len(data) + 1):
        points, _ = _points(tmp_path, data[:length])
        rows_before.append(len(points))
    assert rows_before == sorted(rows_before)
    assert rows_before[-1] == 12 * 3 + 3 * 2


@given(
    st.lists(
        st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.sampled_from(["x", "y", "z"])),
        max_size=60,
    )
)
def test_whatever_is_logged_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, float, str]]
) -> None:
    """Any numbers in any order of keys come back."""
    folder = tmp_path_factory.mktemp("journal")
    logger = JournalLogger(folder)
    for step, value, key in rows:
        logger.write("info/epoch", step, {key: value})
    logger.finalize()
    metrics = read_metrics(folder) if rows else Metrics({})
    for key in "xyz":
        expected = [(step, value) for step, value, name in rows if name == key]
        series = metrics.get(f"info/{key}")
        assert (series is None) == (not expected)
        if series is not None:
            assert series.steps.tolist() == [step for step, _ in expected]
            assert series.values.tobytes() == np.array([value for _, value in expected]).tobytes()


def test_rows_of_several_layouts_in_turn(tmp_path: Path) -> None:
    """Short and long runs of rows with equal keys are told apart, whatever their lengths."""
    logger = JournalLogger(tmp_path)
    expected: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    step = 0
    for length in (1, 2, 7, 8, 9, 63, 64, 65, 130, 400, 3):
        for key, steps in expected.items():
            for _ in range(length):
                logger.write("info/epoch", step, {key: float(step)})
                steps.append(step)
                step += 1
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert {key: metrics[f"info/{key}"].values.tolist() for key in expected} == expected
    assert metrics["info/epoch"].steps.tolist() == list(range(step))
    assert metrics.damaged == 0


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    """Reading it gives an error rather than nothing."""
    path = tmp_path / "progress.txt"
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(ValueError, match="is neither a journal nor a TensorBoard event file"):
        JournalLogger.restore_logged_data(str(path))


def test_a_journal_under_another_name(tmp_path: Path) -> None:
    """A copy is read, whatever it is called, and past damage at its start."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", 0, {"v": 1.0})
    logger.finalize()
    data = (tmp_path / "metrics.rlxj").read_bytes()
    (tmp_path / "copy.bin").write_bytes(b"damage" + data)
    assert read_metrics(tmp_path / "copy.bin")["info/v"].values.tolist() == [1.0]
    (tmp_path / "empty.bin").write_bytes(b"")
    assert len(read_metrics(tmp_path / "empty.bin")) == 0
