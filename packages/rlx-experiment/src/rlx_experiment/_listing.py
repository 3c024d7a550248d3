"""Runs as text: lists, one run, the difference of two."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rlx_experiment._index import RunSummary
from rlx_experiment._rebuild import read_archive
from rlx_experiment._run import Run
from rlx_experiment._source import ARCHIVE_FILE
from rlx_experiment._status import RunStatus, now

_COLOURS: Final = {
    "running": "36", "starting": "36", "finished": "32", "stopped": "33", "failed": "31", "crashed": "31",
    "unknown": "35",
}  # fmt: skip
_DIFFERING_METADATA: Final = ("githash", "launcher", "python", "platform", "host", "gpus", "argv")


def format_list(runs: Sequence[RunSummary], root: Path) -> str:
    """Return one line a run: folder, state, start, duration, and the arguments in which runs differ."""
    varying = differing_arguments(run.arguments for run in runs)
    rows = [("RUN", "STATE", "STARTED", "TOOK", "ARGUMENTS")]
    for run in runs:
        shown = ", ".join(f"{key}={_short(run.arguments[key])}" for key in varying if key in run.arguments)
        started = run.status.started[:19].replace("T", " ")
        rows.append((_relative(run.path, root), str(run.status), started, duration(run.status), shown))
    return format_columns(rows, colour_column=1)


def differing_arguments(arguments: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the arguments that are not the same in all of `arguments`."""
    values: dict[str, set[str]] = {}
    for one in arguments:
        for key, value in one.items():
            values.setdefault(key, set()).add(repr(value))
    return [key for key, seen in values.items() if len(seen) > 1]


def duration(status: RunStatus) -> str:
    """Return how long the latest attempt took, or has been taking, as ``1:02:03``; empty if its end is unknown."""
    if not status.started or (not status.ended and status.state not in ("running", "starting")):
        return ""
    took = datetime.fromisoformat(status.ended or now()) - datetime.fromisoformat(status.started)
    return str(timedelta(seconds=max(0, round(took.total_seconds()))))  # clocks can go backwards


def format_show(run: Run) -> str:
    """Return all that is recorded about a run, for people."""
    status = run.status
    source: Mapping[str, Any] = run.source
    lines = [
        f"{run.path}",
        f"  experiment  {run.experiment}",
        f"  state       {status}{f' ({status.error})' if status.error else ''}",
        f"  attempt     {status.attempt}, started {status.started or '?'}, took {duration(status) or '?'}",
        f"  process     {status.pid} on {status.host}",
        f"  code        {run.metadata.get('githash', 'no commit')}, {run.metadata.get('launcher', 'no launcher')}",
    ]
    if source:
        counts = [
            f"{len(source[kind])} {kind}" for kind in ("changed", "deleted", "untracked") if source.get(kind)
        ]
        lines.append(f"  source      {ARCHIVE_FILE}{' with ' + ', '.join(counts) if counts else ''}")
        lines += [
            f"    left out  {item['path']} ({item['reason']})" for item in source.get("left_out", [])[:10]
        ]
    lines.append(f"  python      {run.metadata.get('python', '?')} on {run.metadata.get('platform', '?')}")
    lines.append("  arguments")
    lines += [f"    {key} = {_short(value)}" for key, value in run.arguments.items()]
    files = sorted(path for path in run.path.iterdir() if not path.name.startswith("."))
    lines.append("  files")
    lines += [f"    {path.name:28} {path.stat().st_size:>12,}" for path in files]
    return "\n".join(lines)


def format_diff(old: Run, new: Run) -> str:
    """Return in what two runs differ: arguments, code, libraries, machine; empty if in nothing."""
    lines = [
        *_differences("argument", old.arguments, new.arguments),
        *_differences("metadata", *({k: r.metadata.get(k) for k in _DIFFERING_METADATA} for r in (old, new))),
        *_differences("package", old.metadata.get("packages", {}), new.metadata.get("packages", {})),
        *_differences(
            "environment", old.metadata.get("environment", {}), new.metadata.get("environment", {})
        ),
        *_differences("file", _digests(old), _digests(new)),
    ]
    return "\n".join(lines)


def _digests(run: Run) -> dict[str, str]:
    archive = run.path / ARCHIVE_FILE
    return read_archive(archive) if archive.exists() else {}


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if kind == "file":
            change = "added" if before is None else "removed" if after is None else "changed"
            lines.append(f"{kind:12} {key}  {change}")
        else:
            lines.append(f"{kind:12} {key}  {_short(before)} -> {_short(after)}")
    return lines


def format_columns(rows: Sequence[Sequence[str]], *, colour_column: int | None = None) -> str:
    """Return `rows` as aligned columns; in a terminal one column, of states, is coloured."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    coloured = sys.stdout.isatty()
    lines: list[str] = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        if coloured and colour_column is not None and row[colour_column] in _COLOURS:
            cells[colour_column] = f"\033[{_COLOURS[row[colour_column]]}m{cells[colour_column]}\033[0m"
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root and path.is_relative_to(root) else path.name
