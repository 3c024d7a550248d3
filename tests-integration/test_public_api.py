"""A change of the public API is seen by whoever reviews it."""

from __future__ import annotations

from pathlib import Path

from public_api import lines

RECORDED = Path(__file__).with_name("public-api.txt")


def of_present_names(recorded: list[str], present: list[str]) -> list[str]:
    """The recorded lines whose exported name is here; others need a library that is not."""
    names = {exported(line) for line in present}
    return [line for line in recorded if exported(line) in names]


def exported(line: str) -> str:
    """The exported name that a line belongs to."""
    name = line.partition(" ")[0].partition("(")[0].removeprefix("rlx_protocols.testing")
    return ".".join(name.split(".")[:2])


def test_the_recorded_api_is_the_real_one() -> None:
    """What was added, changed or removed must be recorded with `nox -s api`, so that the diff shows it."""
    present = list(lines())
    recorded = RECORDED.read_text(encoding="utf-8").splitlines()
    assert of_present_names(recorded, present) == present
