"""What experiments are called with, as JSON."""

import enum
import hashlib
import json
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlx_experiment import LogEncoder, dump_json


class Colour(enum.Enum):
    """A member of a user's enumeration."""

    RED = 1


class Policy:
    """An object with attributes."""

    def __init__(self, width: int) -> None:
        self.width = width


def encoded(value: object) -> object:
    """Return `value` as a strict JSON parser sees it."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(json.dumps(value, cls=LogEncoder), parse_constant=refuse)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Policy, {"$typename": f"{__name__}.Policy"}),
        (Colour.RED, {"$enum": f"{__name__}.Colour.RED"}),
        (math.hypot, {"$function": "math.hypot"}),
        (Policy(3), {"$type": f"{__name__}.Policy", "width": 3}),
        (Path("a/b"), "a/b"),
        (b"\x00\xff", {"$bytes": "AP8="}),
        (float("nan"), {"$float": "nan"}),
        (float("-inf"), {"$float": "-inf"}),
        ((1, {2}), [1, [2]]),
        (OrderedDict({1: 2}), {"1": 2}),
    ],
)
def test_writes_what_json_does_not_know_as_markers(value: object, expected: object) -> None:
    """Classes, members, callables, objects, paths, bytes and odd numbers have a form in JSON."""
    assert encoded(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.int64(2**63 - 1), 2**63 - 1),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({np.int64(1): np.float64("nan")}, {"1": {"$float": "nan"}}),
    ],
)
def test_writes_numpy_values_exactly(value: object, expected: object) -> None:
    """NumPy integers do not pass through floats, and arrays are lists."""
    assert encoded(value) == expected


def test_large_arrays_are_described() -> None:
    """An array of many elements is recorded by shape, type and the digest of its content."""
    assert encoded(np.zeros((200, 100))) == {
        "$type": "numpy.ndarray",
        "shape": [200, 100],
        "dtype": "float64",
        "sha256": hashlib.sha256(bytes(160_000)).hexdigest(),
    }
    assert encoded({"objects": np.full(20_000, None)}) == {
        "objects": {"$type": "numpy.ndarray", "shape": [20_000], "dtype": "object", "sha256": None}
    }


def test_values_that_contain_themselves() -> None:
    """A list inside itself, and an object that points at itself, end in a marker."""
    loop: list[object] = [1]
    loop.append(loop)
    policy = Policy(1)
    policy.width = policy  # type: ignore[assignment]
    assert encoded(loop) == [1, {"$circular": "builtins.list"}]
    assert encoded(policy) == {"$type": f"{__name__}.Policy", "width": {"$circular": f"{__name__}.Policy"}}


def test_the_same_value_twice_is_not_circular() -> None:
    """A value shared by two keys is written twice."""
    shared = [1]
    assert encoded({"a": shared, "b": shared}) == {"a": [1], "b": [1]}


def test_refuses_nan_where_asked_to() -> None:
    """allow_nan=False keeps the meaning that json gives it."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        json.dumps([float("nan")], cls=LogEncoder, allow_nan=False)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_plain_values_come_back_as_they_were(value: object) -> None:
    """What JSON can hold is untouched by the encoder."""
    assert encoded(value) == value


class TestDumpJson:
    def test_makes_folders_and_indents_by_two(self) -> None:
        """The file is readable by people and lies where it should."""
        dump_json("a/b/c.json", {"x": [1]})
        assert Path("a/b/c.json").read_text() == '{\n  "x": [\n    1\n  ]\n}\n'

    def test_a_failing_write_leaves_the_old_file(self) -> None:
        """A value that fails half-way through changes nothing and leaves nothing behind."""

        class Bad:
            @property
            def __dict__(self) -> dict[str, object]:  # type: ignore[override]
                raise RuntimeError("no")

        dump_json("x.json", {"old": 1})
        with pytest.raises(RuntimeError, match="no"):
            dump_json("x.json", {"new": Bad()})
        assert json.loads(Path("x.json").read_text()) == {"old": 1}
        assert [path.name for path in Path().iterdir()] == ["x.json"]
