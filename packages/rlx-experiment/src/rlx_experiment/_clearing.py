"""``rlx-experiment rm | archive | gc``: remove runs, or put them away."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rlx_experiment._lock import RunLiveError
from rlx_experiment._looking import chosen_runs, selection

if TYPE_CHECKING:
    from rlx_experiment._looking import Commands
    from rlx_experiment._runs.index import RunSummary


def add_clearing(commands: "Commands") -> None:
    """Add the commands that remove."""
    chosen = selection()
    chosen.add_argument("--all", action="store_true", help="all runs below the folder")
    answer = chosen.add_mutually_exclusive_group()
    answer.add_argument("--yes", action="store_true", help="do it without a question")
    answer.add_argument("--dry-run", action="store_true", help="only show what it would be")
    chosen.add_argument(
        "--json", action="store_true", help="one JSON object a run, for programs; needs an answer above"
    )

    command = commands.add_parser(
        "rm", parents=[chosen], help="remove runs by state or condition; live ones stay"
    )
    command.set_defaults(command=_rm)

    command = commands.add_parser(
        "archive", parents=[chosen], help="move runs out of the lists, to a folder of their own"
    )
    command.add_argument("--to", type=Path, help="that folder; .archive in the folder with runs by default")
    command.set_defaults(command=_archive)

    command = commands.add_parser("gc", help="what no run needs any more")
    command.add_argument(
        "root", nargs="?", type=Path, default=Path("data/local"), help="folder with runs (data/local)"
    )
    command.add_argument("--remove", action="store_true", help="remove it; without this it is only listed")
    command.set_defaults(command=_gc)


def _rm(args: argparse.Namespace) -> int:
    from rlx_experiment._runs.removal import remove_run

    return _clear(args, "remove", "removed", remove_run)


def _archive(args: argparse.Namespace) -> int:
    from rlx_experiment._runs.removal import archive_run

    root = args.root.absolute()
    home = root.parent if (root / "arguments.json").exists() else root
    archive = (args.to or home / ".archive").absolute()
    return _clear(
        args, f"move to {archive}", f"moved to {archive}", lambda run: archive_run(run, home, archive)
    )


def _clear(args: argparse.Namespace, verb: str, done: str, clear: "Callable[[RunSummary], object]") -> int:
    """Show which runs are chosen and which of them stay; clear them where that is wanted."""
    from rlx_experiment._runs.removal import size_of, why_it_stays

    root = args.root.absolute()
    if not (args.state or args.where or args.all or (root / "arguments.json").exists()):
        raise ValueError("say which runs: --state, --where, --all, or the folder of one run")
    if args.root.is_symlink() and (root / "arguments.json").exists():
        raise ValueError(f"{args.root} is a link; name the folder of the run itself")
    runs = chosen_runs(args, remember=False)
    stays = {run.folder: why_it_stays(run) for run in runs}
    going = [run for run in runs if not stays[run.folder]]
    sizes = {run.folder: size_of(run.path) for run in going}
    if args.json:
        _print_json(runs, stays, sizes)
    else:
        _print_plan(runs, stays, sizes, verb)
    if not going or not _is_wanted(args, f"{verb} {_count(len(going))}, {sum(sizes.values()):,} bytes?"):
        return 0
    cleared = [run for run in going if _try(clear, run)]
    if not args.json:
        print(f"{done}: {_count(len(cleared))}, {sum(sizes[run.folder] for run in cleared):,} bytes")
    return 0


def _print_plan(
    runs: "Sequence[RunSummary]", stays: dict[str, str], sizes: dict[str, int], verb: str
) -> None:
    for run in runs:
        why = stays[run.folder]
        print(
            f"stays: {run.path} ({why})"
            if why
            else f"{verb}: {run.path} ({run.status}, {sizes[run.folder]:,} bytes)"
        )


def _print_json(runs: "Sequence[RunSummary]", stays: dict[str, str], sizes: dict[str, int]) -> None:
    for run in runs:
        record = {"path": run.folder, "state": run.state, "bytes": sizes.get(run.folder)}
        print(json.dumps({**record, "stays": stays[run.folder] or None}))


def _is_wanted(args: argparse.Namespace, question: str) -> bool:
    """Return whether to go ahead: as the options say, or as the person at the terminal does; the default is no."""
    if args.yes:
        return True
    if not args.dry_run and not args.json and sys.stdin.isatty() and sys.stdout.isatty():
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            print()
            return False
    if not args.json:
        print("nothing was changed; add --yes to do it")
    return False


def _try(clear: "Callable[[RunSummary], object]", run: "RunSummary") -> bool:
    try:
        clear(run)
    except RunLiveError as error:  # it has begun since
        print(f"stays: {error}", file=sys.stderr)
        return False
    return True


def _count(number: int) -> str:
    return f"{number} {'run' if number == 1 else 'runs'}"


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
