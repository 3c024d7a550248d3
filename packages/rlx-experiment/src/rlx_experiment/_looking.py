"""``rlx-experiment list | show | table | report``: look at runs."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from rlx_experiment._missing import require
from rlx_experiment._runs.run import Run
from rlx_experiment._runs.status import RunState

if TYPE_CHECKING:
    from rlx_experiment._runs.index import RunSummary

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def selection() -> argparse.ArgumentParser:
    """Return the options by which a command chooses runs."""
    states = sorted(get_args(RunState))
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "root", nargs="?", type=Path, default=Path("data/local"), help="folder with runs (data/local)"
    )
    parser.add_argument(
        "--state",
        action="append",
        choices=states,
        default=[],
        metavar="STATE",
        help=f"only runs in this state ({', '.join(states)}); may be given several times",
    )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COND",
        help="only runs for which this holds, as lr=0.01 or 'seed>=3' (= != < <= > >=); may be given several times",
    )
    return parser


def add_looking(commands: "Commands") -> None:
    """Add the commands that only look."""
    chosen = selection()
    command = commands.add_parser(
        "list", parents=[chosen], help="all runs below a folder, with their true state"
    )
    command.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="show this argument or the last value of this metric, instead of all arguments that differ; repeatable",
    )
    command.add_argument(
        "--sort", metavar="COLUMN", help="run, state, started, took, error, an argument or a metric"
    )
    command.add_argument("--reverse", action="store_true", help="the largest first")
    command.set_defaults(command=_list)

    show = commands.add_parser("show", help="everything recorded about one run")
    show.add_argument("run")
    show.set_defaults(command=_show)

    table = commands.add_parser("table", parents=[chosen], help="final scores over seeds, with intervals")
    table.add_argument("--metric", help="tag of the score, or its end; a return by default")
    table.add_argument(
        "--over", action="append", default=[], help="argument to take together, as tasks; repeatable"
    )
    table.set_defaults(command=_table)
    for parser, what in (
        (command, "one JSON object a line"),
        *((p, "JSON") for p in (show, table)),
    ):
        parser.add_argument("--json", action="store_true", help=f"{what}, for programs")

    report = commands.add_parser(
        "report", parents=[chosen], help="one self-contained HTML page: curves and scores"
    )
    report.add_argument("--metric", help="tag shown first; a return by default")
    report.add_argument("--output", "-o", type=Path, default=Path("report.html"))
    report.add_argument("--title", default="", help="heading; the folder by default")
    report.set_defaults(command=_report, json=False)


def chosen_runs(args: argparse.Namespace, *, remember: bool = True) -> "list[RunSummary]":
    """Return the runs that `args` ask for; where there are none, say what there is."""
    from rlx_experiment._reports.selecting import Condition, select, what_there_is
    from rlx_experiment._runs.index import find_runs

    conditions = [Condition.parse(text) for text in args.where]
    found = find_runs(args.root, remember=remember)
    runs = select(found, args.state, conditions)
    if not runs and not args.json:
        states = f"{' or '.join(args.state)} " if args.state else ""
        where = f" with {', '.join(map(str, conditions))}" if conditions else ""
        there = f"; of {len(found)} runs, {what_there_is(found, args.state, conditions)}" if found else ""
        print(f"no {states}runs{where} in {args.root}{there}")
    return runs


def _list(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import list_runs
    from rlx_experiment._reports.tables import print_table

    runs = chosen_runs(args)
    if not runs:
        return 0
    shown = _columns(runs, args.column)
    sorting = {} if args.sort is None or args.sort in shown else _sorting_column(runs, args.sort)
    listed = list_runs(runs, args.root.absolute(), columns=shown, more=sorting)
    if args.sort:
        listed = listed.sorted_by(args.sort, reverse=args.reverse)
    elif args.reverse:
        listed = listed._replace(runs=listed.runs[::-1])
    if not args.json:
        print_table(listed.table())
        return 0
    for run in listed.runs:
        record = {"path": str(run.path), "experiment": run.experiment, **run.status._asdict()}
        columns = {"columns": {name: cells.get(run.folder) for name, cells in shown.items()}} if shown else {}
        print(json.dumps({**record, "arguments": run.arguments, **columns}))
    return 0


def _columns(runs: "Sequence[RunSummary]", names: Sequence[str]) -> dict[str, Mapping[str, str]]:
    from rlx_experiment._reports.columns import column

    return {name: column(runs, name) for name in names}


def _sorting_column(runs: "Sequence[RunSummary]", name: str) -> dict[str, Mapping[str, str]]:
    """Return the column that a list is sorted by where it is none that every list has."""
    if name.lower() in ("run", "state", "started", "took", "arguments", "error"):
        return {}
    return _columns(runs, [name])


def _show(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import show_sections
    from rlx_experiment._reports.tables import print_sections

    run = Run.open(args.run)
    sections = show_sections(run)
    if args.json:
        record: dict[str, Any] = {heading: dict(items) for heading, items in sections}
        print(json.dumps({"path": str(run.path), **record, "arguments": run.arguments}))
    else:
        print_sections(str(run.path), sections)
    return 0


def _table(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment table")
    from rlx_experiment._reports.groups import meaning_of_scores
    from rlx_experiment._reports.scores import score_runs
    from rlx_experiment._reports.tables import print_table

    runs = chosen_runs(args)
    if not runs:
        return 0
    scores = score_runs(runs, metric=args.metric, over=args.over)
    if args.json:
        print(json.dumps(scores.record()))
        return 0
    print_table(scores.table())
    print("\n".join([meaning_of_scores(), *scores.sentences()]))
    return 0


def _report(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment report")
    from rlx_experiment._reports.report import write_report

    runs = chosen_runs(args)
    if not runs:
        return 0
    write_report(args.output, runs, metric=args.metric, title=args.title or f"Runs in {args.root}")
    print(args.output)
    return 0
