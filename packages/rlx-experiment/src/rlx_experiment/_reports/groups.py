"""Runs that differ in their seed alone, taken together."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlx_experiment._arguments.fields import differing_arguments
from rlx_experiment._reports.aggregate import Estimate, estimate_iqm
from rlx_experiment._reports.curves import Curve, choose_metric, read_curves
from rlx_experiment._reports.tables import Table
from rlx_experiment._runs.index import RunSummary

LAST: int = 10
"""Values at the end of a curve whose mean is a run's final score."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one experiment with the same arguments, but for the seed."""

    label: str
    runs: Sequence[RunSummary]
    curves: Sequence[Mapping[str, Curve]]

    def scores(self, metric: str) -> list[float]:
        """Return the final score of each run that logged `metric`: the mean of its last values."""
        return [float(np.mean(curves[metric][1][-LAST:])) for curves in self.curves if metric in curves]


def group_runs(
    runs: Sequence[RunSummary],
    *,
    over: Sequence[str] = (),
    read: Callable[[RunSummary], Mapping[str, Curve]] = lambda run: read_curves(run.path),
) -> list[Group]:
    """Return `runs` in groups that differ in more than the seed.

    Args:
        runs: Any runs.
        over: Further arguments that groups are taken over, besides ``seed``.
        read: Gives a run's curves.
    """
    ignored = {"seed", *over}
    varying = [key for key in differing_arguments(run.arguments for run in runs) if key not in ignored]
    several = len({run.experiment for run in runs}) > 1
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        parts = [f"{key}={_text(run.arguments[key])}" for key in varying if key in run.arguments]
        name = run.experiment.rpartition(":")[2]
        label = " ".join(([name] if several else []) + parts) or name or "runs"
        groups.setdefault(label, []).append(run)
    ordered = sorted(groups.items(), key=lambda item: _rank(item[1][0], varying))
    return [
        Group(label=label, runs=members, curves=[read(run) for run in members]) for label, members in ordered
    ]


def _rank(run: RunSummary, varying: Sequence[str]) -> tuple[str, list[tuple[bool, float, str]]]:
    """Return what sorts groups by experiment and arguments, numbers before texts and by their values."""
    values = [run.arguments.get(key, "") for key in varying]
    ranks = [
        (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, _text(value))
        for value in values
    ]
    return run.experiment, ranks


def estimate(group: Group, metric: str, over: Sequence[str] = ()) -> Estimate | None:
    """Return the group's final score with its interval, its tasks being the values of `over`; None without scores."""
    tasks: dict[str, list[float]] = {}
    for run, curves in zip(group.runs, group.curves, strict=True):
        if metric in curves:
            task = repr([run.arguments.get(key) for key in over])
            tasks.setdefault(task, []).append(float(np.mean(curves[metric][1][-LAST:])))
    return estimate_iqm(list(tasks.values())) if tasks else None


def meaning_of_scores() -> str:
    """Return in words what a run's score is."""
    return f"A run's score is the mean of its last {LAST} values."


def score_table(runs: Sequence[RunSummary], *, metric: str | None = None, over: Sequence[str] = ()) -> Table:
    """Return one row a group: number of runs, interquartile mean of the final score, and its 95 % interval."""
    groups = group_runs(runs, over=over)
    tag = choose_metric((tag for group in groups for curves in group.curves for tag in curves), metric)
    rows: list[tuple[str, ...]] = []
    for group in groups:
        found = estimate(group, tag, over)
        value = f"{found.value:#.4g}" if found else "-"
        interval = f"{found.low:#.4g} .. {found.high:#.4g}" if found else "-"
        rows.append((group.label, str(len(group.runs)), value, interval, count_states(group.runs)))
    heads = ("GROUP", "RUNS", f"IQM {tag}", "95% INTERVAL", "STATES")
    return Table(heads, rows, numbers=heads[1:4])


def count_states(runs: Sequence[RunSummary]) -> str:
    """Return how many of `runs` are in which state, in words."""
    return ", ".join(f"{number} {state}" for state, number in Counter(run.state for run in runs).items())


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
