"""The table of final scores, for people and for programs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from rlx_experiment._reports.aggregate import Estimate
from rlx_experiment._reports.curves import choose_metric
from rlx_experiment._reports.groups import Group, count_states, estimate, group_runs, left_out
from rlx_experiment._reports.tables import Table
from rlx_experiment._runs.index import RunSummary


class Scores(NamedTuple):
    """Groups of runs with their final scores."""

    metric: str
    groups: Sequence[Group]
    estimates: Sequence[Estimate | None]
    left_out: Sequence[tuple[RunSummary, str]]

    def table(self) -> Table:
        """Return one row a group: runs that count, interquartile mean, its 95 % interval, states."""
        rows: list[tuple[str, ...]] = []
        for group, found in zip(self.groups, self.estimates, strict=True):
            count = len(group.scored(self.metric))
            runs = str(count) if count == len(group.members) else f"{count} of {len(group.members)}"
            value = f"{found.value:#.4g}" if found else "-"
            known = found is not None and np.isfinite(found.low)
            interval = f"{found.low:#.4g} .. {found.high:#.4g}" if found and known else "-"
            rows.append((group.label, runs, value, interval, count_states(group.runs)))
        heads = ("GROUP", "RUNS", f"IQM {self.metric}", "95% INTERVAL", "STATES")
        return Table(heads, rows, numbers=heads[1:4], optional=("STATES", "RUNS", "95% INTERVAL"))

    def sentences(self, limit: int = 20) -> list[str]:
        """Return in words which runs are left out of the scores, and why."""
        if not self.left_out:
            return []
        lines = [f"  {run.path.name}: {why}" for run, why in self.left_out[:limit]]
        more = len(self.left_out) - limit
        count = f"{len(self.left_out)} {'run' if len(self.left_out) == 1 else 'runs'}"
        return [f"Left out of the scores: {count}.", *lines, *([f"  … and {more} more"] if more > 0 else [])]

    def record(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {
            "metric": self.metric,
            "groups": [
                _group_record(group, found, self.metric)
                for group, found in zip(self.groups, self.estimates, strict=True)
            ],
            "left_out": [{"path": str(run.path), "why": why} for run, why in self.left_out],
        }


def _group_record(group: Group, found: Estimate | None, metric: str) -> dict[str, Any]:
    numbers = found._asdict() if found else dict.fromkeys(Estimate._fields)
    return {
        "group": group.label,
        "arguments": dict(group.arguments),
        "runs": len(group.members),
        "counted": len(group.scored(metric)),
        **{
            name: value if value is not None and np.isfinite(value) else None
            for name, value in numbers.items()
        },
        "scores": {str(member.run.path): member.score(metric) for member in group.scored(metric)},
    }


def score_runs(runs: Sequence[RunSummary], *, metric: str | None = None, over: Sequence[str] = ()) -> Scores:
    """Return the scores of `runs` in groups that differ in more than the seed.

    Raises:
        ValueError: No run logged `metric`.
    """
    groups = group_runs(runs, over=over)
    tags = (tag for group in groups for member in group.members for tag in member.curves)
    chosen = choose_metric(tags, metric)
    found = [estimate(group, chosen, over) for group in groups]
    return Scores(chosen, groups, found, left_out(runs, groups, chosen))
