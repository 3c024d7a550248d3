"""``rlx-experiment diff | history``: what differs between runs, and what changed from one to the next."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from rlx_experiment._looking import chosen_runs, selection
from rlx_experiment._runs.run import Run
from rlx_experiment._terminal import notify

if TYPE_CHECKING:
    from rlx_experiment._looking import Commands


def add_comparing(commands: "Commands") -> None:
    """Add the commands that compare."""
    diff = commands.add_parser("diff", help="in what two runs differ: arguments, code, libraries, machine")
    diff.add_argument("old")
    diff.add_argument("new")
    diff.add_argument(
        "--source",
        action="store_true",
        help="the difference of their code as a patch, changes that were not committed included",
    )
    diff.set_defaults(command=_diff)

    past = commands.add_parser(
        "history", parents=[selection()], help="which runs ran which commit, and what changed in between"
    )
    past.add_argument("--commit", metavar="REVISION", help="only this commit: a name, tag or branch of git")
    past.set_defaults(command=_history)
    for parser in (diff, past):
        parser.add_argument("--json", action="store_true", help="JSON, for programs")


def _diff(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import diff_table
    from rlx_experiment._reports.tables import print_table

    old, new = Run.open(args.old), Run.open(args.new)
    if args.source:
        from rlx_experiment._source.patch import source_patch

        return _show_patch(source_patch(old.path, new.path))
    table = diff_table(old, new)
    if args.json:
        keys = [head.lower() for head in table.heads]
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in table.rows]))
    elif table.rows:
        print_table(table)
    else:
        print("no difference")
    return 0


def _show_patch(patch: bytes) -> int:
    """Print a patch: coloured at a terminal that has rich, else as it is, for ``git apply``."""
    if not patch:
        notify("no difference")
    elif not sys.stdout.isatty():
        sys.stdout.buffer.write(patch)
        sys.stdout.buffer.flush()
    else:
        from rlx_experiment._reports.tables import print_patch

        print_patch(patch.decode(errors="replace"))
    return 0


def _history(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import history_table
    from rlx_experiment._reports.tables import print_table
    from rlx_experiment._source.history import history

    runs = chosen_runs(args)
    if not runs:
        return 0
    commits = history([Run(run.path) for run in runs if run.state != "damaged"], args.commit)
    if args.json:
        for commit in commits:
            named = {key: [str(run.path) for run in commit._asdict()[key]] for key in ("runs", "dirty")}
            print(json.dumps(commit._asdict() | named))
    elif commits:
        print_table(history_table(commits, args.root.absolute()))
    else:
        print(f"no run in {args.root} recorded a commit")
    return 0
