"""``rlx-experiment``: look at runs, resume and rerun them."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rlx_experiment._clearing import add_clearing
from rlx_experiment._comparing import add_comparing
from rlx_experiment._looking import add_looking
from rlx_experiment._missing import MissingExtraError, require
from rlx_experiment._runs.run import Run

if TYPE_CHECKING:
    from rlx_experiment._looking import Commands


_NARROW: Final = 60
"""Columns of a terminal below which a usage line names the command alone."""


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
    add_looking(commands)
    add_comparing(commands)
    _add_running(commands)
    add_clearing(commands)
    if shutil.get_terminal_size().columns < _NARROW:
        for command in commands.choices.values():
            command.usage = "%(prog)s ..."  # the options, which do not fit beside it, are listed below
    return parser


def _add_running(commands: "Commands") -> None:
    command = commands.add_parser("resume", help="continue a run, with the code as it is now")
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
        "verify-resume", help="kill and resume a script; say whether it continues exactly"
    )
    command.add_argument("--kills", type=int, default=3, help="interruptions (3)")
    command.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="PATTERN",
        help="tag of the logs, or part of the snapshots, that does not count, such as '.env.clock*'; may be repeated",
    )
    command.add_argument("--folder", type=Path, help="where to keep both runs; a temporary folder by default")
    command.add_argument("script", type=Path)
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    command.set_defaults(command=_verify)


def _resume(args: argparse.Namespace) -> int:
    return Run.open(args.run).resume()


def _rerun(args: argparse.Namespace) -> int:
    return Run.open(args.run).rerun(args.log_dir, tree=args.tree)


def _verify(args: argparse.Namespace) -> int:
    require("numpy", "report", "rlx-experiment verify-resume")
    from rlx_experiment._reports.verify import verify_resume

    with tempfile.TemporaryDirectory(prefix="rlx-verify-") as temporary:
        folder = args.folder or Path(temporary)
        found = verify_resume(args.script, args.arguments, folder, kills=args.kills, ignore=args.ignore)
    for compared in found.compared:
        print(f"compared: {compared}")
    for ignored in found.ignored:
        print(f"ignored: {ignored}")
    for difference in found.differences:
        print(f"not exact: {difference}")
    if found.differences:
        return 1
    print(
        f"exact: what was compared is as in a run that was never interrupted, after {_kills(found.kills, args.kills)}"
    )
    return 0


def _kills(done: int, wanted: int) -> str:
    text = f"{done} kill{'s' if done > 1 else ''}"
    return text if done == wanted else f"{text} of {wanted} (then the run ended before the next)"
