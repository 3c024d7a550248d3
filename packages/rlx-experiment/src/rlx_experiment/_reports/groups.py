"""Runs that differ in their seed alone, taken together: which of them count, and which do not and why."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from rlx_experiment._arguments.fields import as_text, differing_arguments, identity, is_seed, seed_of
from rlx_experiment._reports.aggregate import Estimate, estimate_iqm
from rlx_experiment._reports.curves import Curve, read_curves
from rlx_experiment._runs.files import DamagedRunError
from rlx_experiment._runs.identity import is_same_experiment
from rlx_experiment._runs.index import RunSummary

LAST: Final = 10
"""Values at the end of a curve whose mean is a run's final score."""

Read = Callable[[RunSummary], Mapping[str, Curve]]


def final_score(curve: Curve) -> float:
    """Return the mean of the last values of a curve; not a number where one of them is none, or there are none."""
    values = curve[1][-LAST:]
    return float(np.mean(values)) if len(values) and np.isfinite(values).all() else float("nan")


class Member(NamedTuple):
    """A run in a group."""

    run: RunSummary
    curves: Mapping[str, Curve]
    left_out: str = ""
    """Why the run does not count; empty if it does."""

    def score(self, metric: str) -> float:
        """Return the mean of the last values of `metric`; not a number where one of them is none, or there are none."""
        return final_score(self.curves[metric]) if metric in self.curves else float("nan")

    def why_no_score(self, metric: str) -> str:
        """Return why the run has no score; empty if it has one."""
        if self.left_out:
            return self.left_out
        if metric not in self.curves:
            return f"it logged no {metric}"
        return "" if np.isfinite(self.score(metric)) else f"{metric} is not finite at its end"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Runs of one experiment with the same arguments, but for the seed."""

    label: str
    members: Sequence[Member]
    arguments: Mapping[str, Any]
    """Those that tell the group from the others."""

    @property
    def runs(self) -> list[RunSummary]:
        """All runs of the group."""
        return [member.run for member in self.members]

    @cached_property
    def counted(self) -> list[Member]:
        """The finished runs, each seed once."""
        return [member for member in self.members if not member.left_out]

    def scored(self, metric: str) -> list[Member]:
        """Return the runs that have a final score."""
        return [member for member in self.counted if not member.why_no_score(metric)]


def group_runs(
    runs: Sequence[RunSummary],
    *,
    over: Sequence[str] = (),
    read: Read = lambda run: read_curves(run.path),
) -> list[Group]:
    """Return `runs`, but for damaged ones, in groups that differ in more than the seed.

    Args:
        runs: Any runs.
        over: Further arguments that groups are taken over, besides the seed.
        read: Gives a run's curves.
    """
    readable = [run for run in runs if run.state != "damaged"]
    fields = {run.folder: run.fields for run in readable}
    varying = [key for key in differing_arguments(fields.values()) if not is_seed(key) and key not in over]
    groups: dict[tuple[str, ...], list[RunSummary]] = {}
    experiments: list[str] = []
    for run in readable:
        own = fields[run.folder]
        experiment = next((each for each in experiments if is_same_experiment(each, run.experiment)), None)
        if experiment is None:
            experiments.append(experiment := run.experiment)
        values = (identity(own[key]) if key in own else "" for key in varying)
        groups.setdefault((experiment, *values), []).append(run)
    ordered = sorted(groups.values(), key=lambda own: _rank(own[0], varying))
    firsts = [
        {key: fields[own[0].folder][key] for key in varying if key in fields[own[0].folder]}
        for own in ordered
    ]
    names = _names(experiments, [own[0].experiment for own in ordered])
    return [
        Group(label=label, members=_members(own, over, read), arguments=arguments)
        for label, own, arguments in zip(_labels(names, firsts), ordered, firsts, strict=True)
    ]


def _names(experiments: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the names of the functions, with their files where several have one name."""
    times = Counter(experiment.rpartition(":")[2] for experiment in experiments)
    short = [experiment.rpartition(":")[2] for experiment in wanted]
    return [name if times[name] == 1 else whole for name, whole in zip(short, wanted, strict=True)]


def _labels(names: Sequence[str], arguments: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what groups are called: by their values as people read them, quoted where two would be called alike."""
    several = len(set(names)) > 1

    def label(name: str, own: Mapping[str, Any], show: Callable[[Any], str]) -> str:
        parts = [f"{key}={show(value)}" for key, value in own.items()]
        return " ".join(([name] if several else []) + parts) or name or "runs"

    plain = [label(name, own, as_text) for name, own in zip(names, arguments, strict=True)]
    times = Counter(plain)
    return [
        text if times[text] == 1 else label(name, own, repr)
        for text, name, own in zip(plain, names, arguments, strict=True)
    ]


def _members(runs: Sequence[RunSummary], over: Sequence[str], read: Read) -> list[Member]:
    """Return the runs of a group with their curves: unfinished ones, older ones of a seed and unreadable ones left out."""
    newest: dict[tuple[str, ...], RunSummary] = {}
    for run in runs:  # by start
        if run.state == "finished" and (key := _seed_key(run, over)):
            newest[key] = run
    return [_member(run, newest.get(_seed_key(run, over), run), read) for run in runs]


def _member(run: RunSummary, newest: RunSummary, read: Read) -> Member:
    try:
        curves = read(run)
    except DamagedRunError as error:
        return Member(run, {}, f"damaged: {error}")
    if run.state != "finished":
        reached = max((steps[-1] for steps, _ in curves.values() if len(steps)), default=None)
        why = f"{run.status}{'' if reached is None else f' at step {reached:g}'}"
        return Member(run, curves, f"{why}: {run.status.error}" if run.status.error else why)
    if newest.folder != run.folder:
        return Member(run, curves, f"its seed was run again in {newest.path.name}, which counts")
    return Member(run, curves)


def _seed_key(run: RunSummary, over: Sequence[str]) -> tuple[str, ...]:
    """Return what two runs of one seed have in common; empty without a seed, where each run is one of its own."""
    fields = run.fields
    seed = seed_of(fields)
    return () if seed is None else (identity(seed), *(identity(fields.get(key)) for key in over))


def _rank(run: RunSummary, varying: Sequence[str]) -> tuple[str, list[tuple[bool, float, str]]]:
    """Return what sorts groups by experiment and arguments, numbers before texts and by their values."""
    values = [run.fields.get(key, "") for key in varying]
    ranks = [
        (False, float(value), "") if isinstance(value, int | float) else (True, 0.0, as_text(value))
        for value in values
    ]
    return run.experiment, ranks


def estimate(group: Group, metric: str, over: Sequence[str] = ()) -> Estimate | None:
    """Return the group's final score with its interval, its tasks being the values of `over`; None without scores.

    One run a task has no interval: its bounds are not a number.
    """
    tasks: dict[tuple[str, ...], list[float]] = {}
    for member in group.scored(metric):
        task = tuple(identity(member.run.fields.get(key)) for key in over)
        tasks.setdefault(task, []).append(member.score(metric))
    if not tasks:
        return None
    found = estimate_iqm(list(tasks.values()))
    alone = all(len(scores) == 1 for scores in tasks.values())
    return Estimate(found.value, float("nan"), float("nan")) if alone else found


def meaning_of_scores() -> str:
    """Return in words what a run's score is and which runs count."""
    return (
        f"A run's score is the mean of its last {LAST} values. Finished runs count, each seed once; "
        "one seed has no interval."
    )


def left_out(
    runs: Iterable[RunSummary], groups: Sequence[Group], metric: str | None
) -> list[tuple[RunSummary, str]]:
    """Return the runs that are in no score, and why."""
    damaged = [(run, run.status.error) for run in runs if run.state == "damaged"]
    members = [member for group in groups for member in group.members]
    why = [(m.run, m.why_no_score(metric) if metric else m.left_out) for m in members]
    return damaged + [(run, reason) for run, reason in why if reason]


def count_states(runs: Sequence[RunSummary]) -> str:
    """Return how many of `runs` are in which state, in words."""
    return ", ".join(f"{number} {state}" for state, number in Counter(run.state for run in runs).items())
