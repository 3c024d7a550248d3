"""``rlx-experiment``: look at runs, resume and rerun them."""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rlx_experiment._missing import MissingExtraError, require
from rlx_experiment._runs.run import Run
from rlx_experiment._runs.status import RunState

if TYPE_CHECKING:
    _Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        code: int = args.command(args)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except (OSError, ValueError, LookupError, RuntimeError, MissingExtraError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rlx-experiment", description="Look at runs, resume and rerun them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    root = argparse.ArgumentParser(add_help=False)
    root.add_argument(
        "root", nargs="?", type=Path, default=Path("data/local"), help="folder with runs (data/local)"
    )
    _add_looking(commands, root)
    _add_running(commands)
    _add_summaries(commands, root)
    return parser


def _add_looking(commands: "_Commands", root: argparse.ArgumentParser) -> None:
    command = commands.add_parser(
        "list", parents=[root], help="all runs below a folder, with their true state"
    )
    command.add_argument(
        "--state",
        action="append",
        choices=sorted(get_args(RunState)),
        metavar="STATE",
        help=f"only runs in this state ({', '.join(sorted(get_args(RunState)))}); may be given several times",
    )
    command.add_argument("--json", action="store_true", help="one JSON object a line")
    command.set_defaults(command=_list)

    command = commands.add_parser("show", help="everything recorded about one run")
    command.add_argument("run")
    command.set_defaults(command=_show)

    command = commands.add_parser("diff", help="in what two runs differ: arguments, code, libraries, machine")
    command.add_argument("old")
    command.add_argument("new")
    command.set_defaults(command=_diff)

    command = commands.add_parser("gc", parents=[root], help="what no run needs any more")
    command.add_argument("--remove", action="store_true", help="remove it; without this it is only listed")
    command.set_defaults(command=_gc)


def _add_running(commands: "_Commands") -> None:
    command = commands.add_parser("resume", help="go on with a run, with the code as it is now")
    command.add_argument("run")
    command.set_defaults(command=_resume)

    command = commands.add_parser(
        "rerun", help="start a run again, with the code as it was (it runs: trust it)"
    )
    command.add_argument("run")
    command.add_argument("--log-dir", help="folder of the new run")
    command.add_argument("--tree", help="where to rebuild the launch tree and leave it")
    command.set_defaults(command=_rerun)

    command = commands.add_parser(
        "verify-resume", help="kill and resume a script; say whether it goes on exactly"
    )
    command.add_argument("--kills", type=int, default=3, help="interruptions (3)")
    command.add_argument("--folder", type=Path, help="where to keep both runs; a temporary folder by default")
    command.add_argument("script", type=Path)
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    command.set_defaults(command=_verify)


def _add_summaries(commands: "_Commands", root: argparse.ArgumentParser) -> None:
    command = commands.add_parser("table", parents=[root], help="final scores over seeds, with intervals")
    command.add_argument("--metric", help="tag of the score, or its end; a return by default")
    command.add_argument(
        "--over", action="append", default=[], help="argument to take together, as tasks; repeatable"
    )
    command.set_defaults(command=_table)

    command = commands.add_parser(
        "report", parents=[root], help="one self-contained HTML page: curves and scores"
    )
    command.add_argument("--metric", help="tag shown first; a return by default")
    command.add_argument("--output", "-o", type=Path, default=Path("report.html"))
    command.add_argument("--title", default="", help="heading; the folder by default")
    command.set_defaults(command=_report)


def _list(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import list_table
    from rlx_experiment._reports.tables import print_table
    from rlx_experiment._runs.index import find_runs

    runs = [run for run in find_runs(args.root) if not args.state or run.state in args.state]
    if args.json:
        for run in runs:
            record = {"path": str(run.path), "experiment": run.experiment, **run.status._asdict()}
            print(json.dumps({**record, "arguments": run.arguments}))
    elif runs:
        root = args.root.absolute()
        print_table(list_table(runs, root), brief=lambda: list_table(runs, root, brief=True))
    else:
        _say_no_runs(args.root, args.state)
    return 0


def _say_no_runs(root: Path, states: Sequence[str] | None = None) -> int:
    print(f"no {' or '.join(states) + ' ' if states else ''}runs in {root}")
    return 0


def _show(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import show_sections
    from rlx_experiment._reports.tables import print_sections

    run = Run.open(args.run)
    print_sections(str(run.path), show_sections(run))
    return 0


def _diff(args: argparse.Namespace) -> int:
    from rlx_experiment._reports.listing import diff_table
    from rlx_experiment._reports.tables import print_table

    table = diff_table(Run.open(args.old), Run.open(args.new))
    if table.rows:
        print_table(table)
    else:
        print("no difference")
    return 0


def _resume(args: argparse.Namespace) -> int:
    return Run.open(args.run).resume()


def _rerun(args: argparse.Namespace) -> int:
    return Run.open(args.run).rerun(args.log_dir, tree=args.tree)


def _table(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment table")
    from rlx_experiment._reports.groups import meaning_of_scores, score_table
    from rlx_experiment._reports.tables import print_table
    from rlx_experiment._runs.index import find_runs

    runs = find_runs(args.root)
    if not runs:
        return _say_no_runs(args.root)
    print_table(score_table(runs, metric=args.metric, over=args.over))
    print(meaning_of_scores())
    return 0


def _report(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment report")
    from rlx_experiment._reports.report import write_report
    from rlx_experiment._runs.index import find_runs

    runs = find_runs(args.root)
    if not runs:
        return _say_no_runs(args.root)
    write_report(args.output, runs, metric=args.metric, title=args.title or f"Runs in {args.root}")
    print(args.output)
    return 0


def _verify(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment verify-resume")
    from rlx_experiment._reports.verify import verify_resume

    with tempfile.TemporaryDirectory(prefix="rlx-verify-") as temporary:
        folder = args.folder or Path(temporary)
        found = verify_resume(args.script, args.arguments, folder, kills=args.kills)
    for compared in found.compared:
        print(f"compared: {compared}")
    if found.difference:
        print(f"not exact: {found.difference}")
        return 1
    print(
        f"exact: what was compared is as in a run that was never interrupted, after {_kills(found.kills, args.kills)}"
    )
    return 0


def _kills(done: int, wanted: int) -> str:
    text = f"{done} kill{'s' if done > 1 else ''}"
    return text if done == wanted else f"{text} of {wanted} (then the run ended before the next)"


def _gc(args: argparse.Namespace) -> int:
    from rlx_experiment._source.gc import find_garbage, remove

    garbage = list(find_garbage(args.root))
    for path in garbage:
        print(path)
    if args.remove:
        print(f"removed, {remove(garbage):,} bytes")
    elif garbage:
        print("nothing was removed; add --remove to do it")
    else:
        print(f"nothing to remove in {args.root}")
    return 0
