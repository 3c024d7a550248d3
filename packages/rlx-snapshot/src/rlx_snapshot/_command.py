"""The `rlx-snapshot` command: looks at snapshots and never unpickles one."""

import argparse
import datetime as dt
import io
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TextIO, cast

from rlx_snapshot._errors import NotAFileError
from rlx_snapshot._files import latest_path, numbered_iterations
from rlx_snapshot._inspection.description import Description, describe, verify
from rlx_snapshot._inspection.summary import summary_of
from rlx_snapshot._modes import numbered
from rlx_snapshot._storage.selection import candidates

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_FAILURES: Final = (OSError, pickle.UnpicklingError, NotAFileError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command. Returns 0 if all is well, 1 if something is wrong or differs, 2 for wrong usage."""
    output = cast("TextIO | io.TextIOWrapper", sys.stdout)
    if isinstance(output, io.TextIOWrapper):  # what a terminal or file cannot show ends no command
        output.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except BrokenPipeError:  # whoever reads has seen enough
        return 0
    except _FAILURES as error:
        print(f"rlx-snapshot: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rlx-snapshot", description="Look at snapshots without unpickling them."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("list", _list, "one line for each snapshot of a directory"),
        ("show", _show, "what a snapshot says about itself and holds; of a directory the newest"),
        ("verify", _verify, "check every byte; the exit status is 1 if a snapshot is damaged"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("path", type=Path, metavar="DIR_OR_FILE")
        command.set_defaults(run=run)
        if name == "show":
            command.add_argument("--lines", type=_count, default=60, help="parts to name (default 60)")
            command.add_argument("--all", action="store_true", help="name every part, of long lists too")
        if name == "verify":
            command.add_argument("--key-file", type=Path, help="check signatures with the key in this file")
    text = (
        "which parts of two snapshots, or of the newest of two directories, differ; exit status 1 if any do"
    )
    difference = commands.add_parser("diff", help=text, description=text)
    difference.add_argument("first", type=Path, metavar="A")
    difference.add_argument("second", type=Path, metavar="B")
    difference.set_defaults(run=_diff)
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _list(options: argparse.Namespace) -> int:
    paths = _snapshots(options.path)
    print(f"{'file':<16} {'iteration':>9} {'size':>10}  {'saved':<19}  note")
    for path in paths:
        about = path.lstat()
        saved = dt.datetime.fromtimestamp(about.st_mtime).astimezone()
        try:
            found = describe(path)
        except _FAILURES as error:
            iteration, note = "?", str(error)
        else:
            iteration, note = "?" if found.iteration is None else str(found.iteration), _note(found)
        print(f"{path.name:<16} {iteration:>9} {_size(about.st_size):>10}  {saved:%Y-%m-%d %H:%M:%S}  {note}")
    return 0


def _show(options: argparse.Namespace) -> int:
    path = _newest(options.path)
    for line in _lines_about(describe(path)):
        print(line)
    summary = summary_of(path, every=options.all)
    lines = len(summary) if options.all else options.lines
    for name, text in list(summary.items())[:lines]:
        print(f"  {name or '(top)'}: {text}")
    if len(summary) > lines:
        print(f"  ... and {len(summary) - lines} more parts (--lines, --all)")
    return 0


def _verify(options: argparse.Namespace) -> int:
    worst = 0
    for path in _snapshots(options.path):
        try:
            found = verify(path, signing_key=options.key_file)
        except _FAILURES as error:
            print(error)
            worst = 1
        else:
            print(f"{path}: {'no checksums (plain pickle)' if found.format_version is None else 'intact'}")
    return worst


def _diff(options: argparse.Namespace) -> int:
    paths = _newest(options.first), _newest(options.second)
    if paths != (options.first, options.second):
        print(f"--- {paths[0]}\n+++ {paths[1]}")
    first, second = map(summary_of, paths)
    names = [*first, *(name for name in second if name not in first)]
    differing = [name for name in names if first.get(name) != second.get(name)]
    for name in differing:
        print(f"{name or '(top)'}:")
        print(f"  - {first.get(name, '(missing)')}")
        print(f"  + {second.get(name, '(missing)')}")
    print(f"{len(differing)} of {len(names)} parts differ")
    return 1 if differing else 0


def _newest(path: Path) -> Path:
    return candidates(path, "last")[0] if path.is_dir() or not path.exists() else path


def _snapshots(path: Path) -> list[Path]:
    """The files that are meant by a file or a directory, the numbered ones first.

    Raises:
        SnapshotNotFoundError: If there is none.
    """
    if path.is_file():
        return [path]
    latest = latest_path(path)
    found = [path / numbered(itr) for itr in numbered_iterations(path)]
    if latest is not None:
        found.append(latest)
    return found or candidates(path, "last")  # which says what is missing


def _lines_about(found: Description) -> Iterator[str]:
    yield f"{found.path}: {_note(found)}, {_size(found.size)}"
    if found.format_version is not None:
        yield f"  iteration {found.iteration}, format {found.format_version}, xxh3 {found.checksum:016x}"
        yield "  saved with " + ", ".join(f"{name} {version}" for name, version in found.versions.items())
        large = sum(buffer.length for buffer in found.buffers)
        yield f"  {len(found.buffers)} large buffers of {_size(large)} together"


def _note(found: Description) -> str:
    if found.format_version is None:
        return "plain pickle of another program"
    return "signed snapshot" if found.signed else "snapshot"


def _size(size: float) -> str:
    unit = 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
