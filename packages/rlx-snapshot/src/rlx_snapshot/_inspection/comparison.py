"""Comparing two snapshots part by part, without unpickling them."""

import os
import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from rlx_snapshot._inspection.summary import Summary, summary_of
from rlx_snapshot._settings import path_of

_STEP: Final = re.compile(
    r"""\['(?:[^'\\]|\\.)*'\]|\["(?:[^"\\]|\\.)*"\]|\[[^\]]*\]|\.[^.\[({ ]+|\(\d*\)|\{\d+\}|\ state|\ pickle"""
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
MISSING: Final = "missing"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A part in which two snapshots differ.

    `part` is its path from the top, `inside` what it is a part of, from the outside in
    and itself last; `first` and `second` say what is there, or "missing".
    """

    part: str
    inside: Sequence[str]
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two snapshots compared.

    `parts` counts the parts of both. `of_the_process` differ too, but are about the
    process and not about what it computes: clocks, positions in logs, code kept by value.
    """

    parts: int
    differences: Sequence[Difference]
    of_the_process: Sequence[Difference]


def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Comparison:
    """Compare two snapshots in every part; nothing is unpickled.

    Whether two parts are one object does not count, only what is in them.

    Raises:
        DamagedSnapshotError: If a file is not what was saved, or no pickle at all.
    """
    old, new = (_Parts(summary_of(path)) for path in (path_of("first", first), path_of("second", second)))
    found = list(_differing(old, new))
    harmless = [each for each in found if _is_harmless(each, old, new)]
    return Comparison(
        parts=len({*old.lines, *new.lines}),
        differences=[each for each in found if each not in harmless],
        of_the_process=harmless,
    )


def _differing(old: "_Parts", new: "_Parts") -> Iterator[Difference]:
    for name in dict.fromkeys((*old.names(new), *new.names(old))):
        before, after = old.content(name), new.content(name)
        if before != after:
            inside = list(accumulate(_steps(name))) or [""]
            yield Difference(part=name, inside=inside, first=before, second=after)


class _Parts:
    """A summary, and which names stand beside which."""

    def __init__(self, lines: Summary) -> None:
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
        return self.lines.get(prefix, MISSING)

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


def _is_harmless(found: Difference, old: _Parts, new: _Parts) -> bool:
    """Return whether a difference is about the process, or about code saved by value."""
    prefix = ""
    for step, part in zip(_steps(found.part), found.inside, strict=False):
        beside = old.beside(prefix) | new.beside(prefix)
        if any(_word(step) in those and known <= beside for known, those in _OF_THE_PROCESS):
            return True
        if _is_code(part, old):
            return True
        prefix = part
    return _is_seconds(found)


def _is_seconds(found: Difference) -> bool:
    is_named_so = [_word(step) for step in _steps(found.part)[-1:]] == [_SECONDS]
    return is_named_so and "." in found.first and "." in found.second


def _is_code(part: str, old: _Parts) -> bool:
    """Return whether a part is the copy of a function or class of the script, which is there under its name."""
    end = "[1][0]"
    return part.endswith(end) and old.content(f"{part.removesuffix(end)}[0][1]") == "'loads'"
