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
from rlx_experiment._arguments.fields import differing_arguments
from rlx_experiment._reports.aggregate import iqm_band
from rlx_experiment._reports.curves import align, choose_metric
from rlx_experiment._reports.groups import Group, count_states, estimate, group_runs, meaning_of_scores
from rlx_experiment._reports.listing import duration
from rlx_experiment._runs.index import RunSummary
from rlx_experiment._runs.status import now

_MAX_TAGS = 60


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
    tags = sorted({tag for group in groups for curves in group.curves for tag in curves})
    first = choose_metric(tags, metric) if tags else None
    page = {
        "metric": first,
        "tags": ([first] if first else []) + [tag for tag in tags if tag != first][: _MAX_TAGS - 1],
        "groups": [_describe_group(group, tags) for group in groups],
        "runs": [_describe_run(run, target.parent) for run in runs],
        "columns": differing_arguments(run.arguments for run in runs),
        "same": _same_arguments(runs),
    }
    template = files("rlx_experiment._reports").joinpath("report.html").read_text(encoding="utf-8")
    data = json.dumps(page, allow_nan=False).replace("<", "\\u003c")  # so that no value can end the script
    text = template.replace("__TITLE__", html.escape(title)).replace("__TIME__", now()[:16].replace("T", " "))
    text = text.replace("__SCORES__", meaning_of_scores())
    target.parent.mkdir(parents=True, exist_ok=True)
    _atomic.write_bytes(target, text.replace("__DATA__", data).encode())


def _describe_group(group: Group, tags: Sequence[str]) -> dict[str, Any]:
    curves = {tag: curve for tag in tags[:_MAX_TAGS] if (curve := _band(group, tag)) is not None}
    scores = {tag: estimate(group, tag) for tag in curves}
    return {
        "label": group.label,
        "runs": len(group.runs),
        "states": count_states(group.runs),
        "curves": curves,
        "scores": {tag: [_number(value) for value in score] for tag, score in scores.items() if score},
    }


def _band(group: Group, tag: str) -> dict[str, list[float | None]] | None:
    """Return steps, value and interval of `tag` over the group's runs; None where no run logged it."""
    logged = [curves[tag] for curves in group.curves if tag in curves and len(curves[tag][0])]
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


def _describe_run(run: RunSummary, home: Path) -> dict[str, Any]:
    inside = run.path.is_relative_to(home)
    return {
        "name": run.path.name,
        "link": quote(run.path.relative_to(home).as_posix()) if inside else run.path.as_uri(),
        "state": str(run.status),
        "error": run.status.error,
        "started": run.status.started[:16].replace("T", " "),
        "took": duration(run.status),
        "arguments": {key: _text(value) for key, value in run.arguments.items()},
    }


def _same_arguments(runs: Sequence[RunSummary]) -> dict[str, str]:
    """Return the arguments that all runs share."""
    if not runs:
        return {}
    varying = set(differing_arguments(run.arguments for run in runs))
    shared: Mapping[str, Any] = runs[0].arguments
    return {key: _text(value) for key, value in shared.items() if key not in varying}


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> float | None:
    """Return `value` to seven digits; None for what JSON cannot hold."""
    return float(f"{value:.7g}") if np.isfinite(value) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
