"""What can be logged, and under which keys."""

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlx_logging import JournalLogger, NotANumberWarning, read_metrics


@pytest.fixture
def logger(tmp_path: Path) -> JournalLogger:
    """Return a logger that writes nothing in these tests."""
    return JournalLogger(tmp_path)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": 1, "b": {"c": 2, "d": {"e": 3}}}, {"a": 1, "b/c": 2, "b/d/e": 3}),
        ({"a": {"b": {"c": 1}}}, {"a/b/c": 1}),
        ({1: {2: 3.0}}, {"1/2": 3.0}),
        ({"a": {}}, {}),
        ({"a": True, "b": Fraction(1, 2)}, {"a": True, "b": Fraction(1, 2)}),
        ({"a": (1,), "b": {"c": "2", "d": None, "e": [3], "f": 1j}}, {}),
    ],
)
def test_nested_dicts_are_flattened_and_filtered(logger: JournalLogger, given: Any, expected: Any) -> None:
    """Keys are joined by slashes; what is no real number is left out."""
    assert logger.prepare_dict_for_logging(given) == expected


def test_delimiter_and_parent_key(logger: JournalLogger) -> None:
    """The delimiter joins all parts of a key."""
    given = {"a": {"b": 1}, "c": 2}
    assert logger.prepare_dict_for_logging(given, delimiter="|") == {"a|b": 1, "c": 2}
    assert logger.prepare_dict_for_logging(given, "p", ".") == {"p.a.b": 1, "p.c": 2}


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.5),
        np.float64(0.5),
        np.int8(3),
        np.uint64(2**63),
        np.bool_(True),
        np.array(0.5),
        np.array(True),
    ],
)
def test_numpy_scalars_are_kept(logger: JournalLogger, value: Any) -> None:
    """Also numpy's bool and arrays without dimensions."""
    (kept,) = logger.prepare_dict_for_logging({"a": value}).values()
    assert kept == value
    assert not isinstance(kept, np.ndarray)


@pytest.mark.parametrize(
    "value", [np.datetime64("2020-01-01"), np.array(1j), np.array("x"), np.complex128(1)]
)
def test_numpy_scalars_that_are_no_real_numbers_are_left_out(logger: JournalLogger, value: Any) -> None:
    """Dates, complex numbers and strings of numpy cannot be logged."""
    assert logger.prepare_dict_for_logging({"a": value}) == {}


def test_tensors_without_dimensions_are_kept(logger: JournalLogger) -> None:
    """A loss can be logged as it is; its graph is let go."""
    torch = pytest.importorskip("torch", reason="needs torch")
    loss = torch.tensor(0.5, requires_grad=True)
    assert logger.prepare_dict_for_logging({"loss": loss, "flag": torch.tensor(True)}) == {
        "loss": 0.5,
        "flag": True,
    }
    assert logger.prepare_dict_for_logging({"batch": torch.zeros(3)}) == {}


def test_exclude_arrays_of_the_constructor_is_honoured(tmp_path: Path) -> None:
    """Arrays stay where the constructor says so, and a call can say otherwise."""
    array = np.arange(3)
    keeping = JournalLogger(tmp_path, exclude_arrays=False)
    assert keeping.prepare_dict_for_logging({"a": array})["a"] is array
    assert keeping.prepare_dict_for_logging({"a": array}, exclude_arrays=True) == {}
    assert JournalLogger(tmp_path).prepare_dict_for_logging({"a": array}) == {}


def _log(logger: JournalLogger, row: dict[str, Any], epoch: int, gated: bool) -> None:
    if gated:
        logger.log_info_data(row, epoch)
    else:
        logger.write("info/epoch", epoch, row)


@pytest.mark.parametrize("gated", [False, True], ids=["write", "with gates"])
def test_what_is_left_out_is_named_once(tmp_path: Path, gated: bool) -> None:
    """One warning names the keys and their types, when the rest of the row is written."""
    logger = JournalLogger(tmp_path)
    row = {"a": 1.0, "env": "CartPole", "who": {"knows": None}, "z": 2.0}
    named = "left out of the logs, as it is no number: 'env' (str), 'who/knows' (NoneType)."
    with pytest.warns(NotANumberWarning, match=re.escape(named)):
        _log(logger, row, 0, gated)
    for epoch in (1, 2):
        _log(logger, row, epoch, gated)  # a second warning would be an error
    logger.finalize()
    read = read_metrics(tmp_path)
    assert {tag: len(series) for tag, series in read.items()} == {"info/epoch": 3, "info/a": 3, "info/z": 3}


def test_a_warning_that_is_an_error_costs_no_row(tmp_path: Path) -> None:
    """What is left out is named after every backend has the row."""
    logger = JournalLogger(tmp_path)
    with pytest.raises(NotANumberWarning, match=r"'env' \(str\)"):
        logger.log_info_data({"a": 1.0, "env": "CartPole"}, 0)
    logger.finalize()
    assert read_metrics(tmp_path)["info/a"].values.tolist() == [1.0]


@pytest.mark.parametrize("step_type", ["train", "train/", "/env_step", "a/b/c", ""])
def test_step_type_must_be_two_names(logger: JournalLogger, step_type: str) -> None:
    """Anything but scope/name is refused."""
    with pytest.raises(ValueError, match="must have the form 'scope/name'"):
        logger.write(step_type, 0, {})


def test_the_key_of_the_step_with_another_value_is_refused(logger: JournalLogger) -> None:
    """A row cannot stand at two steps."""
    with pytest.raises(ValueError, match="'epoch' is the step of this row"):
        logger.write("info/epoch", 3, {"epoch": 4})


def test_the_key_of_the_step_with_the_same_value_is_logged_once(tmp_path: Path) -> None:
    """The step stands in the data of some trainers."""
    logger = JournalLogger(tmp_path)
    for epoch in range(2):
        logger.write("info/epoch", epoch, {"epoch": epoch, "a": 1.0})
    logger.finalize()
    restored: Any = JournalLogger.restore_logged_data(str(tmp_path))
    info = restored["info"]
    assert {key: np.asarray(value).tolist() for key, value in info.items()} == {"epoch": [0, 1], "a": [1, 1]}


@pytest.mark.parametrize("step", [1.5, "3", None, math.inf, math.nan])
def test_steps_must_be_whole(logger: JournalLogger, step: Any) -> None:
    """A step that is no whole number is refused."""
    with pytest.raises(TypeError, match="must be a whole number"):
        logger.write("info/epoch", step, {})


@pytest.mark.parametrize("step", [2**63, -(2**63) - 1, 10**400])
def test_steps_must_fit(logger: JournalLogger, step: int) -> None:
    """A step beyond 64 bits is refused."""
    with pytest.raises(ValueError, match="must fit into 64 bits"):
        logger.write("info/epoch", step, {})


def test_odd_keys_have_a_documented_spelling(tmp_path: Path) -> None:
    """Empty, control characters, other types and endless keys are all logged, and told apart."""
    logger = JournalLogger(tmp_path)
    keys: list[Any] = ["", "a\nb", "\ud800", 7, "x" * 10_000, "x" * 10_001, "Größe"]
    logger.write("info/epoch", 0, {key: float(index) for index, key in enumerate(keys)})
    logger.finalize()
    restored: Any = JournalLogger.restore_logged_data(str(tmp_path))
    info = restored["info"]
    short = {
        key: float(value[0]) for key, value in info.items() if len(key) < 20 and isinstance(value, np.ndarray)
    }
    assert short == {"epoch": 0, "(empty)": 0, r"a\nb": 1, r"\ud800": 2, "7": 3, "Größe": 6}
    assert sorted(len(key) for key in info)[-2:] == [1000, 1000]


def test_keys_that_are_spelled_alike_are_refused(logger: JournalLogger) -> None:
    """Neither of two values is lost without a word."""
    with pytest.raises(ValueError, match="spelled alike"):
        logger.write("info/epoch", 0, {"7": 1.0, 7: 2.0})  # type: ignore[dict-item]


@pytest.mark.parametrize("step", [7, 7.0, np.int64(7), np.int32(7), np.uint8(7), np.float64(7), np.array(7)])
def test_steps_of_any_whole_number(tmp_path: Path, step: Any) -> None:
    """Counters are often numpy's; all of them are the same step."""
    logger = JournalLogger(tmp_path)
    logger.write("info/epoch", step, {"v": 1.0})
    logger.finalize()
    assert read_metrics(tmp_path)["info/v"].steps.tolist() == [7]
