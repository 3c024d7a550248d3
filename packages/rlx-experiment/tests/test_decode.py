"""Recorded arguments back from JSON."""

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from rlx_experiment import LogEncoder
from rlx_experiment._arguments.decode import from_json


class Kind(enum.Enum):
    """An enumeration."""

    A = 1


@dataclass(frozen=True)
class Net:
    """A nested configuration."""

    widths: tuple[int, ...]
    kind: Kind


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, int),
        (1.0, float),
        (float("inf"), float),
        (None, int | None),
        ("x", int | str),
        ((1, 2), tuple[int, ...]),
        ((1, "a"), tuple[int, str]),
        ([Path("a")], list[Path]),
        ({"a": (1,)}, dict[str, tuple[int, ...]]),
        ({1, 2}, set[int]),
        (Kind.A, Kind),
        (Kind.A, Kind | None),
        (b"x", bytes),
        ("a", Literal["a", "b"]),
        (Net((1, 2), Kind.A), Net),
        ([1, "x"], Any),
    ],
)
def test_values_come_back_as_declared(value: object, annotation: Any) -> None:
    """Encoding and decoding with the declared type gives the same value of the same type."""
    again = from_json(json.loads(json.dumps(value, cls=LogEncoder)), annotation)
    assert again == value
    assert type(again) is type(value)


def test_what_cannot_be_built_again_is_an_error() -> None:
    """A function is recorded by name only; that is not enough to call it."""
    with pytest.raises(ValueError, match="cannot be built again"):
        from_json({"$function": "math.hypot"}, Any)
