"""No value, of any type, costs another value of its row; through `write` and the calls with gates alike."""

import enum
import fractions
import itertools
import json
import math
import warnings
import weakref
from collections import UserDict
from collections.abc import Callable, Iterator
from decimal import Decimal
from numbers import Real
from pathlib import Path
from types import new_class
from typing import Any, TypeAlias

import numpy as np
import pytest

from rlx_logging import BaseLogger, NotANumberWarning, RunLogger, make_logger, read_metrics

Log: TypeAlias = Callable[[BaseLogger, dict[Any, Any]], None]
BACKENDS = "csv, jsonl, tensorboard, console"


def by_write(logger: BaseLogger, row: dict[Any, Any]) -> None:
    """Log past the gates."""
    logger.write("info/epoch", 1, row)


def by_gate(logger: BaseLogger, row: dict[Any, Any]) -> None:
    """Log as a trainer does."""
    logger.log_info_data(row, 1)


@pytest.fixture(params=[by_write, by_gate])
def log(request: pytest.FixtureRequest) -> Log:
    """Return one way to log a row."""
    way: Log = request.param
    return way


class Level(enum.IntEnum):
    """Numbers with names."""

    HIGH = 3


class Colour(enum.Enum):
    """Names."""

    RED = 1


class Unreadable(UserDict[str, float]):
    """A mapping whose items cannot be had."""

    def items(self) -> Any:
        """Fail."""
        raise OSError("gone")


class Shapeless:
    """An array whose shape and type cannot be had."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Fail."""
        raise RuntimeError("deleted")

    dtype = shape


def _fail(*_: object) -> Any:
    raise ArithmeticError("no value yet")


def _pretender() -> object:
    """Return an object that calls itself a real number and does not convert."""
    methods: dict[str, Any] = dict.fromkeys(Real.__abstractmethods__, _fail)
    return new_class("Pretender", (Real,), exec_body=lambda members: members.update(methods))()


def _dead() -> object:
    """Return a reference to an object that is gone."""
    return weakref.proxy(Level.__members__ and type("Model", (), {})())


NUMBERS: dict[str, tuple[Any, float]] = {
    "float16": (np.float16(0.5), 0.5),
    "longdouble": (np.longdouble(0.5), 0.5),
    "uint64": (np.uint64(2**64 - 1), 2.0**64),
    "array of shape ()": (np.array(2.5), 2.5),
    "array of shape (1,)": (np.array([2.5]), 2.5),
    "array of shape (1, 1)": (np.array([[2]], np.int8), 2.0),
    "masked array with nothing masked": (np.ma.array([2.5], mask=[False]), 2.5),
    "array of objects": (np.array(Decimal("0.5"), object), 0.5),
    "decimal": (Decimal("0.5"), 0.5),
    "infinite decimal": (Decimal("-Infinity"), -math.inf),
    "fraction": (fractions.Fraction(1, 4), 0.25),
    "huge fraction": (fractions.Fraction(10**400), math.inf),
    "member of an IntEnum": (Level.HIGH, 3.0),
    "whole number beyond 64 bits": (10**30, 1e30),
    "whole number beyond float64": (10**400, math.inf),
    "whole number that has no text": (-(10**5000), -math.inf),
}


def _masked() -> Any:
    masked: Any = np.ma.array([1.0, 2.0], mask=True)  # pyright: ignore[reportUnknownVariableType]
    return masked


OTHERS: dict[str, Callable[[], Any]] = {
    "timedelta64": lambda: np.timedelta64(5, "s"),
    "timedelta64 in ns": lambda: np.timedelta64(5, "ns"),
    "not a time": lambda: np.timedelta64("NaT", "s"),
    "datetime64": lambda: np.datetime64("2026-01-01"),
    "array of times": lambda: np.array([1], "m8[s]"),
    "masked mean": lambda: _masked().mean(),
    "masked element": lambda: _masked()[:1],
    "complex": lambda: 1j,
    "numpy's complex": lambda: np.complex64(1),
    "text": lambda: "1.5",
    "numpy's text": lambda: np.str_("1.5"),
    "bytes": lambda: b"1",
    "memoryview": lambda: memoryview(b"1"),
    "None": lambda: None,
    "list": lambda: [1.0],
    "generator": lambda: (number for number in (1.0,)),
    "member of an Enum": lambda: Colour.RED,
    "void": lambda: np.void(b"ab"),
    "structured": lambda: np.array((1, 2.0), "i4, f4"),
    "signalling decimal": lambda: Decimal("sNaN"),
    "pretender": _pretender,
    "dead reference": _dead,
    "unreadable mapping": lambda: Unreadable(a=1.0),
    "shapeless array": Shapeless,
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_kind(tmp_path: Path, log: Log, kind: str) -> None:
    """Each is one plain number in every backend, and its neighbours are there."""
    given, expected = NUMBERS[kind]
    logger = make_logger(BACKENDS, log_dir=tmp_path)
    log(logger, {"before": 1.0, "odd": given, "behind": 2.0})
    logger.finalize()
    assert _everywhere(tmp_path) == [{"before": 1.0, "odd": expected, "behind": 2.0}] * 3
    assert _shown(tmp_path)["info/odd"] == _float32(expected)


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_no_number_costs_only_itself(tmp_path: Path, log: Log, kind: str) -> None:
    """It is named, and the others of the row are everywhere."""
    odd = OTHERS[kind]()
    logger = make_logger(BACKENDS, log_dir=tmp_path)
    with pytest.warns(NotANumberWarning, match=rf"'odd' \({type(odd).__name__}\)"):
        log(logger, {"before": 1.0, "odd": odd, "behind": 2.0})
    logger.finalize()
    assert _everywhere(tmp_path) == [{"before": 1.0, "behind": 2.0}] * 3
    assert set(_shown(tmp_path)) == {"info/epoch", "info/before", "info/behind"}


def _everywhere(folder: Path) -> list[dict[str, float]]:
    """Return the row as the readers of journal, CSV and JSON lines see it."""
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    journal = {tag.removeprefix("info/"): float(s.values[0]) for tag, s in read_metrics(folder).items()}
    table = pandas.read_csv(folder / "progress.csv").astype(float).iloc[0].dropna().to_dict()
    line = json.loads((folder / "metrics.jsonl").read_text())
    words = line.get("not_finite", {})
    lines = {
        key.removeprefix("info/"): float(words.get(key, value))
        for key, value in line.items()
        if key.startswith("info/")
    }
    return [
        {key: row[key] for key in row if key not in ("epoch", "_time")} for row in (journal, table, lines)
    ]


def _reader(folder: Path) -> Any:
    """Return TensorBoard's own reader of the event files in a folder."""
    accumulator: Any = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard"
    )
    reader = accumulator.EventAccumulator(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # TensorBoard's own arithmetic overflows
        reader.Reload()
    return reader


def _shown(folder: Path) -> dict[str, float]:
    """Return what TensorBoard shows of each tag."""
    reader = _reader(folder)
    return {tag: reader.Scalars(tag)[0].value for tag in reader.Tags()["scalars"]}


def _float32(value: float) -> float:
    return value if math.isinf(value) else float(np.float32(value))


def test_nested_dicts_are_flattened_in_both_ways(tmp_path: Path, log: Log) -> None:
    """Keys of any type are joined by slashes; a dict inside itself is no number."""
    nested: dict[Any, Any] = {1: {"y": 2.0, None: 3.0}, "x": Level.HIGH}
    nested["self"] = nested
    logger = make_logger("csv", log_dir=tmp_path)
    with pytest.warns(NotANumberWarning, match=r"'deep/self' \(dict\)"):
        log(logger, {"deep": nested, "empty": {}, 7: 1.0})
    logger.finalize()
    values = {tag.removeprefix("info/"): s.values.tolist() for tag, s in read_metrics(tmp_path).items()}
    assert values == {
        "epoch": [1], "deep/1/y": [2], "deep/1/None": [3], "deep/x": [3], "7": [1],
    }  # fmt: skip


def test_a_generator_is_left_as_it_was(tmp_path: Path, log: Log) -> None:
    """What is no number is not read."""
    numbers = iter(itertools.repeat(1.0, 2))
    logger = make_logger("csv", log_dir=tmp_path)
    with pytest.warns(NotANumberWarning, match=r"'odd' \(repeat\)"):
        log(logger, {"odd": numbers})
    logger.finalize()
    assert list(numbers) == [1.0, 1.0]


def _tensors() -> Iterator[tuple[str, Any, float]]:
    torch: Any = pytest.importorskip("torch", reason="needs torch")
    yield "bfloat16", torch.tensor(1.5, dtype=torch.bfloat16), 1.5
    yield "float8", torch.tensor([0.5]).to(torch.float8_e4m3fn), 0.5
    yield "with a gradient", torch.tensor([[1.25]], requires_grad=True), 1.25
    yield "parameter", torch.nn.Parameter(torch.tensor(2.5)), 2.5
    yield "bool", torch.tensor(True), 1.0
    yield "large", torch.tensor(2**62), 2.0**62


def test_tensors_of_one_element(tmp_path: Path, log: Log) -> None:
    """A loss is a number, whatever its type and shape; one that holds no data is named."""
    torch: Any = pytest.importorskip("torch", reason="needs torch")
    given = {name: (tensor, number) for name, tensor, number in _tensors()}
    logger = make_logger("csv", log_dir=tmp_path)
    with pytest.warns(NotANumberWarning, match=r"'empty' \(Tensor\), 'complex' \(Tensor\)"):
        log(
            logger,
            {name: tensor for name, (tensor, _) in given.items()}
            | {"empty": torch.empty((), device="meta"), "complex": torch.tensor(1j)},
        )
    logger.finalize()
    values = {tag.removeprefix("info/"): s.values.tolist() for tag, s in read_metrics(tmp_path).items()}
    assert values == {"epoch": [1]} | {name: [number] for name, (_, number) in given.items()}


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float32"])
def test_arrays_of_jax(tmp_path: Path, log: Log, dtype: str) -> None:
    """Types that numpy does not know are numbers too."""
    jnp: Any = pytest.importorskip("jax.numpy", reason="needs jax")
    logger = make_logger("csv", log_dir=tmp_path, exclude_arrays=False)
    log(logger, {"one": jnp.array(1.5, dtype), "more": jnp.array([1.5, 2.0], dtype)})
    logger.finalize()
    metrics = read_metrics(tmp_path)
    assert metrics["info/one"].values.tolist() == [1.5]
    assert metrics.arrays["info/more"][0][1].tolist() == [1.5, 2.0]


ARRAYS: dict[str, Any] = {
    "NaN": np.array([1.0, np.nan, 2.0]),
    "infinity": np.array([1.0, np.inf, -np.inf, 2.0]),
    "nothing finite": np.array([np.nan, np.inf]),
    "empty": np.zeros(0),
    "one element": np.ones(1),
    "bool": np.array([True, False]),
    "uint8": np.arange(5, dtype=np.uint8),
    "float16": np.ones(3, np.float16),
    "greatest and least": np.array([1.7e308, -1.7e308]),
    "neighbours": np.array([1.0] * 70 + [np.nextafter(1.0, 2.0)]),
    "int64": np.array([2**63 - 1, -(2**63)]),
    "two dimensions": np.ones((2, 3)),
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("writer", [False, True], ids=["folder", "SummaryWriter"])
def test_arrays_of_every_kind_are_histograms(tmp_path: Path, log: Log, kind: str, writer: bool) -> None:
    """Their finite elements are counted, and the row stays whole."""
    given: Any = tmp_path
    if writer:
        given = pytest.importorskip("tensorboardX", reason="needs tensorboardX").SummaryWriter(str(tmp_path))
    from rlx_logging import TensorboardLogger

    logger = TensorboardLogger(given, exclude_arrays=False)
    log(logger, {"before": 1.0, "w": ARRAYS[kind], "behind": 2.0})
    logger.finalize()
    assert set(_shown(tmp_path)) == {"info/epoch", "info/before", "info/behind"}
    (event,) = _reader(tmp_path).Histograms("info/w")
    assert event.histogram_value.num == np.isfinite(ARRAYS[kind].astype(float)).sum()


def test_masked_elements_of_an_array_are_no_numbers(tmp_path: Path, log: Log) -> None:
    """The journal does not tell what a mask hides."""
    logger = make_logger("csv", log_dir=tmp_path, exclude_arrays=False)
    log(logger, {"w": np.ma.array([1, 2, 3], mask=[False, True, False])})
    logger.finalize()
    ((_, array),) = read_metrics(tmp_path).arrays["info/w"]
    assert np.array_equal(array, [1.0, np.nan, 3.0], equal_nan=True)


def test_a_summary_writer_shows_what_stands_behind_a_huge_number(tmp_path: Path, log: Log) -> None:
    """A whole number beyond float64 is infinite there, too."""
    tensorboard_x: Any = pytest.importorskip("tensorboardX", reason="needs tensorboardX")
    from rlx_logging import TensorboardLogger

    logger: RunLogger = TensorboardLogger(tensorboard_x.SummaryWriter(str(tmp_path)))
    log(logger, {"huge": 10**400, "large": 1e300, "behind": 2.0})
    logger.finalize()
    shown = _shown(tmp_path)
    assert shown["info/huge"] == math.inf
    assert shown["info/large"] == np.finfo(np.float32).max
    assert shown["info/behind"] == 2.0


@pytest.mark.parametrize(
    "row", [{"a/b": 1.0, "a": {"b": 2.0}}, {"a": {1: 1.0, "1": 2.0}}], ids=["joined", "nested"]
)
def test_nested_keys_spelled_alike_are_refused(log: Log, row: dict[Any, Any], tmp_path: Path) -> None:
    """No value takes another's place in silence: two keys with one name are refused, nested ones too."""
    logger = make_logger("csv", log_dir=tmp_path)
    with pytest.raises(ValueError, match=r"spelled alike when logged: .*; rename one"):
        log(logger, row)
    logger.finalize()
