"""Which runs a command is about: filters by state and argument, and the order of what is left."""

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rlx_experiment._arguments.fields import as_text
from rlx_experiment._runs.index import RunSummary

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CONDITION: Final = re.compile(r"([^=!<>]+?)\s*(==|!=|<=|>=|=|<|>)\s*(.*)", re.DOTALL)


class Condition(NamedTuple):
    """A comparison of an argument, or a field of one, with a value."""

    name: str
    sign: str
    value: str

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Return the condition that `text` says, as ``lr=0.01`` or ``seed>=3``.

        Raises:
            ValueError: It is none.
        """
        found = _CONDITION.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"the condition is {text!r}; it must be like lr=0.01 or seed>=3")
        return cls(*found.groups())

    def holds(self, run: RunSummary) -> bool:
        """Return whether the condition holds for `run`; not for one without such an argument."""
        found = find_value(run, self.name)
        if found is None:
            return False
        recorded, wanted = _comparable(as_text(found[0])), _comparable(self.value)
        if type(recorded) is not type(wanted):
            recorded, wanted = as_text(found[0]), self.value
        return _COMPARISONS[self.sign](recorded, wanted)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.value}"


def find_value(run: RunSummary, name: str) -> tuple[Any] | None:
    """Return the argument or field of `run` that is called `name`, whole or by its end; None if there is none."""
    fields = run.fields
    if name in fields:
        return (fields[name],)
    if name in run.arguments:
        return (run.arguments[name],)
    first, _, rest = name.partition(".")  # a field's full name, where its own would do
    found = [key for key in fields if key == rest and first in run.arguments] or [
        key for key in fields if key.endswith(f".{name}")
    ]
    return (fields[found[0]],) if len(found) == 1 else None


def _comparable(text: str) -> Any:
    """Return the number, truth value or text that `text` says."""
    known = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in known:
        return known[text.lower()]
    try:
        return float(text)
    except ValueError:
        return "".join(text.split())


def select(
    runs: Sequence[RunSummary], states: Sequence[str], conditions: Sequence[Condition]
) -> list[RunSummary]:
    """Return the runs in one of `states`, if any are given, for which all of `conditions` hold.

    Raises:
        ValueError: A condition names what no run has.
    """
    for condition in conditions:
        if runs and not any(find_value(run, condition.name) for run in runs):
            known = sorted({name for run in runs for name in run.fields})
            raise ValueError(
                f"no run has an argument {condition.name!r}; there are: {', '.join(known) or 'none'}"
            )
    return [
        run
        for run in runs
        if (not states or run.state in states) and all(condition.holds(run) for condition in conditions)
    ]


def what_there_is(runs: Sequence[RunSummary], states: Sequence[str], conditions: Sequence[Condition]) -> str:
    """Return, for a filter that matches nothing, the states and values that would match."""
    said: list[str] = []
    if states:
        said.append(f"their states are {_counted(run.state for run in runs)}")
    for condition in conditions:
        values = [find_value(run, condition.name) for run in runs]
        said.append(f"{condition.name} is {_counted(as_text(value[0]) for value in values if value)}")
    return "; ".join(said)


def _counted(values: Iterable[str]) -> str:
    counts = Counter(values).most_common()
    shown = [f"{value} ({number})" for value, number in counts[:12]]
    return ", ".join(shown + ([f"{len(counts) - 12} others"] if len(counts) > 12 else []))


def sort_runs(
    runs: Sequence[RunSummary], key: str, cells: Mapping[str, Mapping[str, str]], *, reverse: bool
) -> list[RunSummary]:
    """Return `runs` by a column of their list, numbers by their size and before texts, runs without a value last.

    Args:
        runs: The runs.
        key: Head of the column.
        cells: For each run folder its cells, by head.
        reverse: Whether the largest comes first.
    """

    def rank(run: RunSummary) -> tuple[bool, float, str]:
        value = _comparable(cells[run.folder].get(key, ""))
        return (False, float(value), "") if isinstance(value, (bool, float)) else (True, 0.0, str(value))

    having = [run for run in runs if cells[run.folder].get(key, "")]
    rest = [run for run in runs if not cells[run.folder].get(key, "")]
    return sorted(having, key=rank, reverse=reverse) + rest
