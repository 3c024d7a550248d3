"""Comparing the snapshots of two runs part by part, in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rlx_experiment._reports.ignoring import Ignored

_OF_THE_PROCESS: Final = "clocks, process, place in the logs, code kept by value"
_NAMED: Final = 8
"""How many parts that do not count are named before the rest is counted."""


class Comparison(NamedTuple):
    """One file, or kind of file, of two runs compared."""

    compared: str
    differences: Sequence[str] = ()


def compare_snapshots(unbroken: Path, broken: Path, ignored: Ignored | None = None) -> list[Comparison]:
    """Compare the snapshots that the runs ended with: by their bytes, or else part by part."""
    names = sorted(
        {path.name for run in (unbroken, broken) for path in run.glob("*.pkl")} - {"arguments.pkl"}
    )
    ignored = Ignored() if ignored is None else ignored
    return [_compare(unbroken / name, broken / name, ignored) for name in names]


def _compare(old: Path, new: Path, ignored: Ignored) -> Comparison:
    for there, missing, run in ((old, new, "unbroken"), (new, old, "broken")):
        if not missing.exists():
            return Comparison(there.name, [f"{there.name} was saved by the {run} run only"])
    if old.read_bytes() == new.read_bytes():
        return Comparison(f"{old.name}, byte by byte")
    try:
        return _compare_parts(old, new, ignored)
    except ModuleNotFoundError:
        problem = "to see in which parts, pip install 'rlx-experiment[snapshot]'"
    except ValueError as error:
        problem = str(error)
    return Comparison(f"not {old.name}, which differs in some bytes: {problem}")


def _compare_parts(old: Path, new: Path, ignored: Ignored) -> Comparison:
    from rlx_snapshot import DamagedSnapshotError, compare

    try:
        found = compare(old, new)
    except DamagedSnapshotError as error:
        raise ValueError(str(error)) from error
    counted = [each for each in found.differences if not ignored.covers(each.part, each.inside)]
    same = found.parts - len(found.differences) - len(found.of_the_process) + len(counted)
    left_out = _left_out([each.part for each in found.of_the_process])
    return Comparison(
        f"{same} of {found.parts} parts of {old.name}{left_out}",
        [
            f"{old.name}: {each.part} is {each.first} in the unbroken run, {each.second} in the broken one"
            for each in counted
        ],
    )


def _left_out(parts: Sequence[str]) -> str:
    """Return the names of skipped parts, the first of many, in words that continue from what was compared."""
    if not parts:
        return ""
    named = parts if len(parts) <= _NAMED else [*parts[:_NAMED], f"{len(parts) - _NAMED} more"]
    return f", but not {', '.join(named)} ({_OF_THE_PROCESS})"
