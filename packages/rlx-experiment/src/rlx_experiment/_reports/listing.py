"""What is told of runs: lists, one run, the difference of two."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rlx_experiment._arguments.fields import differing_arguments
from rlx_experiment._reports.tables import Table
from rlx_experiment._runs.index import RunSummary
from rlx_experiment._runs.run import Run
from rlx_experiment._runs.status import RunStatus, now
from rlx_experiment._source.files import ARCHIVE_FILE
from rlx_experiment._source.rebuild import read_archive

_DIFFERING_METADATA: Final = ("githash", "launcher", "python", "platform", "host", "gpus", "argv")


def list_table(runs: Sequence[RunSummary], root: Path, *, brief: bool = False) -> Table:
    """Return one row a run: folder, state, start, duration, and the arguments in which runs differ.

    Args:
        runs: The runs.
        root: Folder that theirs are named relative to.
        brief: Whether to leave out years and seconds, and arguments that the folder's name says.
    """
    varying = differing_arguments(run.arguments for run in runs)
    rows: list[tuple[str, ...]] = []
    for run in runs:
        shown = [f"{key}={_short(run.arguments[key])}" for key in varying if key in run.arguments]
        moment = _moment(run.status)
        if brief:
            shown = [part for part in shown if part not in run.path.name]
            moment = moment[5:16]
        facts = (str(run.status), moment, duration(run.status), ", ".join(shown))
        rows.append((_relative(run.path, root), *facts))
    heads = ("RUN", "STATE", "STARTED (UTC)", "TOOK", "ARGUMENTS")
    if brief and not any(row[-1] for row in rows):
        return Table(heads[:-1], [row[:-1] for row in rows], states="STATE", numbers=("TOOK",))
    return Table(heads, rows, states="STATE", numbers=("TOOK",))


def _moment(status: RunStatus) -> str:
    return status.started[:19].replace("T", " ") or "?"


def duration(status: RunStatus) -> str:
    """Return how long the latest attempt took, or has been taking, as ``1:02:03``; empty if its end is unknown."""
    if not status.started or (not status.ended and status.state not in ("running", "starting")):
        return ""
    took = datetime.fromisoformat(status.ended or now()) - datetime.fromisoformat(status.started)
    return str(timedelta(seconds=max(0, round(took.total_seconds()))))  # clocks can go backwards


Section = tuple[str, Sequence[tuple[str, str]]]


def show_sections(run: Run) -> list[Section]:
    """Return all that is recorded about a run, for people."""
    sections: list[Section] = [("run", _about(run)), ("code", _code(run))]
    sections.append(("arguments", [(key, _short(value)) for key, value in run.arguments.items()]))
    files = sorted(path for path in run.path.iterdir() if not path.name.startswith("."))
    sections.append(("files", [(path.name, f"{path.stat().st_size:>12,}") for path in files]))
    return [(heading, items) for heading, items in sections if items]


def _about(run: Run) -> list[tuple[str, str]]:
    status = run.status
    return [
        ("experiment", run.experiment),
        ("state", f"{status}{f' ({status.error})' if status.error else ''}"),
        ("attempt", str(status.attempt)),
        ("started", f"{_moment(status)} UTC, took {duration(status) or '?'}"),
        ("process", f"{status.pid} on {status.host}"),
        ("python", f"{run.metadata.get('python', '?')} on {run.metadata.get('platform', '?')}"),
    ]


def _code(run: Run) -> list[tuple[str, str]]:
    source: Mapping[str, Any] = run.source
    items = [
        ("commit", str(run.metadata.get("githash", "none"))),
        ("launcher", str(run.metadata.get("launcher", "none"))),
    ]
    if source:
        counts = [
            f"{len(source[kind])} {kind}" for kind in ("changed", "deleted", "untracked") if source.get(kind)
        ]
        items.append(("source", f"{ARCHIVE_FILE}{' with ' + ', '.join(counts) if counts else ''}"))
        items += [
            ("left out", f"{item['path']} ({item['reason']})") for item in source.get("left_out", [])[:10]
        ]
    return items


def diff_table(old: Run, new: Run) -> Table:
    """Return in what two runs differ: arguments, code, libraries, machine; no rows if in nothing."""
    rows = [
        *_differences("argument", old.arguments, new.arguments),
        *_differences("metadata", *({k: r.metadata.get(k) for k in _DIFFERING_METADATA} for r in (old, new))),
        *_differences("package", old.metadata.get("packages", {}), new.metadata.get("packages", {})),
        *_differences(
            "environment", old.metadata.get("environment", {}), new.metadata.get("environment", {})
        ),
        *_differences("file", _digests(old), _digests(new)),
    ]
    return Table(("WHAT", "NAME", "OLD", "NEW"), rows)


def _digests(run: Run) -> dict[str, str]:
    archive = run.path / ARCHIVE_FILE
    return read_archive(archive) if archive.exists() else {}


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (kind, key, *_change(kind, old.get(key), new.get(key)))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]


def _change(kind: str, before: object, after: object) -> tuple[str, str]:
    if kind == "file":  # what is known of a file is its digest, which says nothing to people
        words = "added" if before is None else "removed" if after is None else "changed"
        return "", words
    return ("-" if before is None else _short(before)), ("-" if after is None else _short(after))


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root and path.is_relative_to(root) else path.name
