"""Which runs ran which commit, and what changed from one to the next."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rlx_experiment._runs.run import Run
from rlx_experiment._source.repository import Commit, Repository, RepositoryError


class RanCommit(NamedTuple):
    """A commit, and the runs that ran it."""

    root: str
    commit: str
    when: str
    """Date of the commit; empty where the repository does not have it any more."""
    subject: str
    runs: Sequence[Run]
    dirty: Sequence[Run]
    """Those of the runs whose files differed from the commit."""
    since: str
    """How much it differs from the commit before it in the list."""


def history(runs: Sequence[Run], revision: str | None = None) -> list[RanCommit]:
    """Return the commits that `runs` ran, newest first.

    Args:
        runs: Runs of one repository or several.
        revision: Only this commit, as git names it.

    Raises:
        RepositoryError: No repository of the runs has the `revision`, or git cannot be run.
    """
    by_root: dict[str, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        source: dict[str, Any] = run.source
        if source.get("commit"):
            by_root[str(source["root"])][str(source["commit"])].append(run)
    found: list[RanCommit] = []
    problems: list[RepositoryError] = []
    for root, by_commit in by_root.items():
        try:
            found += _of_repository(root, by_commit, revision)
        except RepositoryError as error:
            problems.append(error)
    if problems and not found:
        raise problems[0]
    return found


def _of_repository(root: str, by_commit: dict[str, list[Run]], revision: str | None) -> list[RanCommit]:
    repository = Repository(Path(root))
    if revision is not None:
        wanted = repository.commit(revision).name
        by_commit = {wanted: by_commit.get(wanted, [])}
    known = [name for name in by_commit if repository.has(name)]
    ordered = [repository.commit(name) for name in repository.newest_first(known)]
    before: list[Commit | None] = [*ordered[1:], None]
    listed = [
        _ran(
            root, commit, by_commit[commit.name], repository.changes(older.name, commit.name) if older else ""
        )
        for commit, older in zip(ordered, before, strict=False)
    ]
    gone = [name for name in by_commit if name not in known]
    return listed + [
        _row(root, name, "", "not in the repository any more", by_commit[name], "") for name in gone
    ]


def _ran(root: str, commit: Commit, runs: Sequence[Run], since: str) -> RanCommit:
    return _row(root, commit.name, commit.when.strftime("%Y-%m-%d %H:%M"), commit.subject, runs, since)


def _row(root: str, name: str, when: str, subject: str, runs: Sequence[Run], since: str) -> RanCommit:
    dirty = [run for run in runs if any(run.source.get(kind) for kind in ("changed", "deleted", "untracked"))]
    return RanCommit(root, name, when, subject, runs, dirty, since)
