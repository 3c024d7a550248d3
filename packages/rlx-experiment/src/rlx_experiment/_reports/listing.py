"""What is told of runs: lists, one run, the difference of two."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from rlx_experiment._arguments.fields import as_text, differing_arguments, flatten
from rlx_experiment._reports.selecting import sort_runs
from rlx_experiment._reports.tables import Table
from rlx_experiment._runs.index import RunSummary
from rlx_experiment._runs.run import Run
from rlx_experiment._runs.status import RunStatus, now
from rlx_experiment._source.files import ARCHIVE_FILE
from rlx_experiment._source.history import RanCommit
from rlx_experiment._source.rebuild import read_archive

_DIFFERING_METADATA: Final = ("githash", "launcher", "python", "platform", "host", "gpus", "argv")


class RunList(NamedTuple):
    """Runs and what a list shows of each."""

    runs: Sequence[RunSummary]
    heads: Sequence[str]
    cells: Mapping[str, Mapping[str, str]]
    """For each run folder its cells, by head."""

    def table(self) -> Table:
        """Return one row a run."""
        rows = [tuple(self.cells[run.folder].get(head, "") for head in self.heads) for run in self.runs]
        return Table(
            self.heads,
            rows,
            states="STATE",
            numbers=("TOOK",),
            optional=("STARTED (UTC)", "TOOK", "ARGUMENTS"),
            brief=("STARTED (UTC)",),
        )

    def sorted_by(self, key: str, *, reverse: bool = False) -> Self:
        """Return the list in the order of a column, which need not be shown.

        Raises:
            ValueError: There is no such column.
        """
        usual = {head.partition(" ")[0].lower(): head for head in _HEADS}
        head = usual.get(key.lower(), key)
        if not any(head in cells for cells in self.cells.values()):
            known = [*usual, *sorted({name for cells in self.cells.values() for name in cells} - set(_HEADS))]
            raise ValueError(f"there is no column {key!r} to sort by; there are: {', '.join(known)}")
        return self._replace(runs=sort_runs(self.runs, head, self.cells, reverse=reverse))


_HEADS: Final = ("RUN", "STATE", "STARTED (UTC)", "TOOK", "ARGUMENTS", "ERROR")


def list_runs(
    runs: Sequence[RunSummary],
    root: Path,
    *,
    columns: Mapping[str, Mapping[str, str]] | None = None,
    more: Mapping[str, Mapping[str, str]] | None = None,
) -> RunList:
    """Return a list with folder, state, start, duration, the arguments in which runs differ, and errors.

    Args:
        runs: The runs.
        root: Folder that theirs are named relative to.
        columns: Instead of the arguments, columns by their heads, with a cell for each run folder.
        more: Columns that are not shown, for `RunList.sorted_by`.
    """
    chosen = columns or {}
    fields = {run.folder: run.fields for run in runs}
    varying = differing_arguments(fields.values())
    cells: dict[str, dict[str, str]] = {}
    for run in runs:
        own = fields[run.folder]
        name = _relative(run.path, root)
        shown = [f"{key}={_short(own[key])}" for key in varying if key in own]
        facts = (
            name,
            str(run.status),
            _moment(run.status),
            duration(run.status),
            ", ".join(shown),
            run.status.error,
        )
        cells[run.folder] = {key: as_text(value) for key, value in own.items()}
        cells[run.folder] |= dict(zip(_HEADS, facts, strict=True))
        cells[run.folder] |= {
            head: column.get(run.folder, "") for head, column in [*chosen.items(), *(more or {}).items()]
        }
    heads = [*_HEADS[:4], *(chosen or _HEADS[4:5]), *_HEADS[5:]]
    shown_heads = [h for h in heads if h in chosen or h in _HEADS[:4] or any(c[h] for c in cells.values())]
    return RunList(runs, shown_heads, cells)


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
    sections.append(("arguments", [(key, _short(value)) for key, value in flatten(run.arguments).items()]))
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
        *_differences("argument", flatten(old.arguments), flatten(new.arguments)),
        *_differences("metadata", *({k: r.metadata.get(k) for k in _DIFFERING_METADATA} for r in (old, new))),
        *_differences("package", old.metadata.get("packages", {}), new.metadata.get("packages", {})),
        *_differences(
            "environment", old.metadata.get("environment", {}), new.metadata.get("environment", {})
        ),
        *_differences("file", _digests(old), _digests(new)),
    ]
    return Table(("WHAT", "NAME", "OLD", "NEW"), rows, key="NAME", optional=("WHAT",))


def history_table(commits: Sequence[RanCommit], root: Path) -> Table:
    """Return one row a commit: the runs that ran it, those with changes that were not committed marked."""
    heads = ("COMMIT", "DATE", "SUBJECT", "SINCE THE ONE BELOW", "RUNS (* with uncommitted changes)")
    rows = [
        (
            commit.commit[:10],
            commit.when,
            commit.subject,
            commit.since,
            ", ".join(_relative(run.path, root) + "*" * (run in commit.dirty) for run in commit.runs)
            or "none",
        )
        for commit in commits
    ]
    return Table(heads, rows, optional=("DATE", "SINCE THE ONE BELOW"), brief=("DATE",))


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
    text = as_text(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root and path.is_relative_to(root) else path.name
