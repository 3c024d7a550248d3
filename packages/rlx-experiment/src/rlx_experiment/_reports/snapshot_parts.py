"""Comparing the snapshots of two runs part by part, without unpickling them."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final, NamedTuple

from rlx_experiment._reports.ignoring import Ignored

Outline = Mapping[str, str]
"""A line for every part of a snapshot, by its path from the top."""

_STEP: Final = re.compile(
    r"""\['(?:[^'\\]|\\.)*'\]|\["(?:[^"\\]|\\.)*"\]|\[[^\]]*\]|\.[^.\[({ ]+|\(\d*\)|\{\d+\}|\ state"""
)
_OF_THE_PROCESS: Final[Sequence[tuple[AbstractSet[str], AbstractSet[str]]]] = (
    ({"return_queue", "length_queue"}, {"time_queue", "episode_start_time", "episode_start_times"}),
    ({"episode_returns", "episode_lengths"}, {"t_start", "episode_times"}),
    ({"r", "l"}, {"t"}),
    ({"gates", "last_save_step"}, {"files", "ends"}),
    ({"rows", "sent"}, {"run_id", "sent"}),
    ({"n_epochs", "pause_for_plot"}, {"start_epoch"}),
    (frozenset(), {"$PYTHONHASHSEED"}),
)
"""Names that together tell what an object is, and those beside them that are about the process, not the training.

In turn: episode statistics of Gymnasium, and of Stable-Baselines3, and of one episode; positions in logs, and in a
run of W&B; the arguments of ``train``, which say where it began; variables of the process.
"""
_SAME: Final = "same as "
_SECONDS: Final = "elapsed"
_HARMLESS: Final = "clocks, process, place in the logs, code kept by value, which of equal objects are one"
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
        return _compare_parts(old.name, _Parts(_outline(old)), _Parts(_outline(new)), ignored)
    except _UnreadableError as error:
        return Comparison(f"not {old.name}, which differs in some bytes: {error}")


def _compare_parts(file: str, old: "_Parts", new: "_Parts", ignored: Ignored) -> Comparison:
    differing = dict(_differing(old, new))
    harmless = [name for name in differing if _is_harmless(name, old, new)]
    counted = [name for name in differing if name not in set(harmless) and not ignored.covers(name, _steps)]
    total = len({*old.lines, *new.lines})
    words = f"{total - len(differing) + len(counted)} of {total} parts of {file}{_left_out(harmless)}"
    return Comparison(words, [f"{file}: {name} {differing[name]}" for name in counted])


def _differing(old: "_Parts", new: "_Parts") -> Iterator[tuple[str, str]]:
    """Yield name, and both contents in words, of every part in which the two differ."""
    for name in dict.fromkeys((*old.names(new), *new.names(old))):
        before, after = old.content(name), new.content(name)
        if before != after:
            yield name, f"is {before} in the unbroken run, {after} in the broken one"


class _UnreadableError(Exception):
    """Why a snapshot cannot be compared part by part."""


def _outline(path: Path) -> Outline:
    command = (sys.executable, "-m", "rlx_snapshot", "show", "--json", str(path))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        lines: Outline = json.loads(result.stdout)
    except ValueError:
        raise _UnreadableError(_complaint(result.stderr or result.stdout)) from None
    return lines


def _complaint(error: str) -> str:
    if "No module named rlx_snapshot" in error:
        return "to see in which parts, pip install 'rlx-experiment[snapshot]'"
    return (error.strip().splitlines() or ["it cannot be read"])[-1]


class _Parts:
    """An outline, and which names stand beside which."""

    def __init__(self, lines: Outline) -> None:
        self.lines = lines
        self.aliases = {
            name: "" if line == f"{_SAME}the top" else line.removeprefix(_SAME)
            for name, line in lines.items()
            if line.startswith(_SAME)
        }
        self._members: dict[str, set[str]] = {}
        for name in lines:
            *above, last = _steps(name) or [""]
            self._members.setdefault("".join(above), set()).add(_word(last))

    def content(self, name: str) -> str:
        """What is there, followed to where it is if it is the same object as another part."""
        prefix = ""
        for step in _steps(name):
            prefix += step
            prefix = self.aliases.get(prefix, prefix)
        return self.lines.get(prefix, "missing")

    def names(self, other: "_Parts") -> Iterator[str]:
        """Yield the names of all parts; those of an object that is another one in `other` by each of its names."""
        yield from self.lines
        for name, target in self.aliases.items():
            if other.aliases.get(name) != target:
                yield from (name + line[len(target) :] for line in self.lines if line.startswith(target))

    def beside(self, prefix: str) -> set[str]:
        """The names of all parts of the part `prefix`."""
        return self._members.get(prefix, set())


def _steps(name: str) -> list[str]:
    return _STEP.findall(name)


def _word(step: str) -> str:
    return step.strip(".[]'\"")


def _is_harmless(name: str, old: _Parts, new: _Parts) -> bool:
    """Return whether a difference is about the process, or about code saved by value."""
    prefix = ""
    for step in _steps(name):
        beside = old.beside(prefix) | new.beside(prefix)
        if any(_word(step) in those and known <= beside for known, those in _OF_THE_PROCESS):
            return True
        prefix += step
    return _is_seconds(name, old, new) or _is_code(name, old)


def _is_seconds(name: str, old: _Parts, new: _Parts) -> bool:
    is_named_so = [_word(step) for step in _steps(name)[-1:]] == [_SECONDS]
    return is_named_so and all("." in each.content(name) for each in (old, new))


def _is_code(name: str, old: _Parts) -> bool:
    """Return whether a part is the copy of a function or class of the script, which is there under its name."""
    end = "[1][0]"
    return name.endswith(end) and old.content(f"{name.removesuffix(end)}[0][1]") == "'loads'"


def _left_out(parts: Sequence[str]) -> str:
    """Return the names of skipped parts, the first of many, in words that continue from what was compared."""
    if not parts:
        return ""
    named = parts if len(parts) <= _NAMED else [*parts[:_NAMED], f"{len(parts) - _NAMED} more"]
    return f", but not {', '.join(named)} ({_HARMLESS})"
