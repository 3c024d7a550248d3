"""The files that say what a run is: arguments, variant, attempts, and the identity of its experiment."""

import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

from rlx_experiment import _atomic
from rlx_experiment._arguments.encoder import to_plain, write_json
from rlx_experiment._arguments.fields import flatten
from rlx_experiment._pickling import dump
from rlx_experiment._runs.files import read_object

ARGUMENTS_FILE: Final = "arguments.json"
PICKLED_ARGUMENTS_FILE: Final = "arguments.pkl"
VARIANT_FILE: Final = "variant.json"
METADATA_FILE: Final = "metadata.json"
ATTEMPTS_FILE: Final = "attempts.jsonl"
CELLS_FILE: Final = "cells.py"
"""The code of a notebook up to the launch; that of an earlier attempt, where it was another, has a number."""
IDENTITY_KEY: Final = "$run"
_SIGNS_OF_A_RUN: Final = (
    VARIANT_FILE,
    METADATA_FILE,
    ARGUMENTS_FILE,
    "progress.csv",
    "params.pkl",
    "status.json",
)


class ForeignRunError(ValueError):
    """The run folder belongs to another experiment, or to another tool."""


def write_arguments(folder: Path, arguments: Mapping[str, object], identity: Mapping[str, object]) -> None:
    """Write the file that makes `folder` a run of an experiment: all arguments, and `identity`."""
    pickled = folder / PICKLED_ARGUMENTS_FILE
    pickled.unlink(missing_ok=True)
    if not all(map(_is_plain, arguments.values())):
        with suppress(Exception):  # what cannot be pickled can still run; it is only not resumed by itself
            _atomic.write_bytes(pickled, dump(dict(arguments)))
    write_json(folder / ARGUMENTS_FILE, {**arguments, IDENTITY_KEY: identity})


def _is_plain(value: object) -> bool:
    """Return whether JSON gives `value` back as it is, whatever type is declared."""
    if isinstance(value, list):
        return all(map(_is_plain, cast("list[object]", value)))
    if isinstance(value, dict):
        entries = cast("dict[object, object]", value)
        return all(type(key) is str for key in entries) and all(map(_is_plain, entries.values()))
    return value is None or type(value) in (bool, int, str) or (type(value) is float and math.isfinite(value))


def read_arguments(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return recorded arguments and identity of the run in `folder`, as JSON has them; None without a run of ours.

    Raises:
        DamagedRunError: The file that holds them is damaged.
    """
    try:
        arguments = read_object(folder / ARGUMENTS_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    identity: Any = arguments.pop(IDENTITY_KEY, None)
    return (arguments, cast("dict[str, Any]", identity)) if isinstance(identity, dict) else None


def changed_arguments(folder: Path, arguments: Mapping[str, object]) -> str:
    """Return in words which recorded arguments of the run in `folder` are others in `arguments`; empty if none."""
    recorded = read_arguments(folder)
    now = flatten(json.loads(json.dumps(to_plain(arguments))))
    before = flatten(recorded[0]) if recorded else now
    return ", ".join(
        f"{name} {before[name]!r} -> {value!r}"
        for name, value in now.items()
        if name in before and before[name] != value
    )


def read_variant(folder: Path) -> dict[str, Any]:
    """Return the passed arguments of the run in `folder`, as JSON has them; empty where none are recorded."""
    try:
        return read_object(folder / VARIANT_FILE)
    except FileNotFoundError:
        return {}


def signs_of_a_run(folder: Path) -> list[str]:
    """Return the names of the files in `folder` that some tool keeps of a run."""
    return [name for name in _SIGNS_OF_A_RUN if (folder / name).exists()]


def write_cells(folder: Path, cells: str, attempt: int) -> None:
    """Keep the code of a notebook's cells; that of the attempt before stays beside it, under a number."""
    current = folder / CELLS_FILE
    if attempt > 1 and current.exists():
        current.replace(current.with_stem(f"{current.stem}_{attempt - 1}"))
    _atomic.write_bytes(current, cells.encode("utf-8", "replace"))


def recorded_definition(folder: Path) -> str:
    """Return what is recorded of the definition of a function that was typed into a notebook; empty without."""
    recorded = read_arguments(folder)
    return str(recorded[1].get("definition", "")) if recorded else ""


def append_attempt(folder: Path, event: Mapping[str, object]) -> None:
    """Add one line to the history of attempts, also after one that a crash cut short."""
    line = json.dumps(to_plain(event)).encode() + b"\n"
    with (folder / ATTEMPTS_FILE).open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            line = line if file.read() == b"\n" else b"\n" + line
        file.write(line)


def read_attempts(folder: Path) -> list[dict[str, Any]]:
    """Return the events of all attempts, oldest first; a line cut short by a crash is left out."""
    try:
        lines = (folder / ATTEMPTS_FILE).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    events: list[dict[str, Any]] = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            event: object = json.loads(line)
            if isinstance(event, dict):
                events.append(cast("dict[str, Any]", event))
    return events
