"""One self-contained HTML page about many runs: curves with intervals, final scores, arguments, states."""

import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from rlx_experiment import _atomic
from rlx_experiment._arguments.fields import as_text, differing_arguments
from rlx_experiment._reports.aggregate import iqm_band
from rlx_experiment._reports.curves import align, choose_metric, finite
from rlx_experiment._reports.groups import (
    Group,
    Member,
    count_states,
    estimate,
    group_runs,
    left_out,
    meaning_of_scores,
)
from rlx_experiment._reports.listing import duration
from rlx_experiment._runs.index import RunSummary
from rlx_experiment._runs.status import now

_MAX_TAGS = 60
_LINE_POINTS = 50


def write_report(
    path: str | Path, runs: Sequence[RunSummary], *, metric: str | None = None, title: str = "Runs"
) -> None:
    """Write the page to `path`. It needs no other file and no network.

    Args:
        path: The HTML file.
        runs: What it is about.
        metric: Tag that is shown first; a return by default.
        title: Heading.

    Raises:
        ValueError: No run logged `metric`.
    """
    target = Path(path).absolute()
    groups = group_runs(runs)
    tags = sorted({tag for group in groups for member in group.members for tag in member.curves})
    first = choose_metric(tags, metric) if tags else None
    shown = ([first] if first else []) + [tag for tag in tags if tag != first][: _MAX_TAGS - 1]
    home = {member.run.folder: i for i, group in enumerate(groups) for member in group.members}
    why = {run.folder: reason for run, reason in left_out(runs, groups, None)}
    page = {
        "metric": first,
        "tags": shown,
        "groups": [_describe_group(group, shown) for group in groups],
        "runs": [
            {
                **_describe_run(run, target.parent),
                "group": home.get(run.folder),
                "why": why.get(run.folder, ""),
            }
            for run in runs
        ],
        "columns": differing_arguments(run.fields for run in runs),
        "same": _same_arguments(runs),
    }
    template = files("rlx_experiment._reports").joinpath("report.html").read_text(encoding="utf-8")
    data = json.dumps(page, allow_nan=False).replace("<", "\\u003c")  # so that no value can end the script
    text = template.replace("__TITLE__", html.escape(title)).replace("__TIME__", now()[:16].replace("T", " "))
    text = text.replace("__SCORES__", meaning_of_scores())
    target.parent.mkdir(parents=True, exist_ok=True)
    _atomic.write_bytes(target, text.replace("__DATA__", data).encode())


def _describe_group(group: Group, tags: Sequence[str]) -> dict[str, Any]:
    scores = {tag: estimate(group, tag) for tag in tags}
    return {
        "label": group.label,
        "runs": len(group.runs),
        "states": count_states(group.runs),
        "counted": {tag: len(group.scored(tag)) for tag in tags},
        "curves": {tag: band for tag in tags if (band := _band(group, tag)) is not None},
        "scores": {tag: [_number(value) for value in score] for tag, score in scores.items() if score},
        "unfinished": [
            _describe_line(member, tags) for member in group.members if member.run.state != "finished"
        ],
    }


def _band(group: Group, tag: str) -> dict[str, list[float | None]] | None:
    """Return steps, value and interval of `tag` over the runs that count; None where none of them logged it."""
    logged = [finite(member.curves[tag]) for member in group.counted if tag in member.curves]
    logged = [curve for curve in logged if len(curve[0])]
    if not logged:
        return None
    steps, values = align(logged)
    band = iqm_band(values)
    return {
        "x": _numbers(steps),
        "y": _numbers(band.value),
        "low": _numbers(band.low),
        "high": _numbers(band.high),
    }


def _describe_line(member: Member, tags: Sequence[str]) -> dict[str, Any]:
    """Return the curves of a run that is not finished, thinned out."""
    curves: dict[str, dict[str, list[float | None]]] = {}
    for tag in tags:
        steps, values = finite(member.curves[tag]) if tag in member.curves else (np.array([]), np.array([]))
        if len(steps):
            kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _LINE_POINTS)).astype(int))
            curves[tag] = {"x": _numbers(steps[kept]), "y": _numbers(values[kept])}
    return {"name": member.run.path.name, "state": str(member.run.status), "curves": curves}


def _describe_run(run: RunSummary, home: Path) -> dict[str, Any]:
    inside = run.path.is_relative_to(home)
    return {
        "name": run.path.name,
        "link": quote(run.path.relative_to(home).as_posix()) if inside else run.path.as_uri(),
        "state": str(run.status),
        "error": run.status.error,
        "started": run.status.started[:16].replace("T", " "),
        "took": duration(run.status),
        "arguments": {key: as_text(value) for key, value in run.fields.items()},
    }


def _same_arguments(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Return the arguments that all runs share."""
    if not runs:
        return {}
    readable = [run.fields for run in runs if run.state != "damaged"]
    varying = set(differing_arguments(readable))
    shared: Mapping[str, Any] = readable[0] if readable else {}
    return {key: as_text(value) for key, value in shared.items() if key not in varying}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """Return `value` to seven digits; None for what JSON cannot hold."""
    return float(f"{value:.7g}") if np.isfinite(value) else None
