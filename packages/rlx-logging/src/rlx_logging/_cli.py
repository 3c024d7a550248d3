"""The command line: look at logs without writing a script."""

from __future__ import annotations

import argparse
import io
import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TextIO, cast

from rlx_logging._errors import MissingBackendError
from rlx_logging._journal.tail import JournalTail
from rlx_logging._metrics.export import export
from rlx_logging._metrics.metrics import Metrics
from rlx_logging._metrics.plot import plot, sparkline, step_tags
from rlx_logging._metrics.styles import EASY, elide
from rlx_logging._read import read_metrics
from rlx_logging._rows.rows import Row
from rlx_logging._tables.console import format_value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0, 1 after an error, 2 for wrong usage."""
    output = cast("TextIO | io.TextIOWrapper", sys.stdout)
    if isinstance(output, io.TextIOWrapper):  # what a terminal or file cannot show ends no command
        output.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has seen enough
    except KeyboardInterrupt:
        return 130
    except (OSError, ValueError, MissingBackendError) as error:
        print(f"rlx-logging: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rlx-logging", description="Look at the logs of runs.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    show = _command(commands.add_parser, "show", "last, least and greatest value of every tag")
    show.set_defaults(command=_show)

    tail = _command(commands.add_parser, "tail", "the last rows, and new ones as they come")
    tail.add_argument("-n", "--rows", type=int, default=10, help="rows to begin with (default: 10)")
    tail.add_argument("--no-follow", action="store_true", help="do not wait for new rows")
    tail.set_defaults(command=_tail)

    curves = _command(commands.add_parser, "plot", "curves as a picture, or in the terminal")
    curves.add_argument("-o", "--output", type=Path, help="picture to make, as curves.png or curves.svg")
    curves.add_argument(
        "-s", "--smooth", type=float, default=0.0, help="smoothing from 0 to below 1 (default: 0)"
    )
    curves.add_argument("--time", action="store_true", help="draw over minutes rather than steps")
    curves.add_argument(
        "-g", "--group", action=argparse.BooleanOptionalAction,
        help="runs that differ in their seed as one curve, the mean in its 95 %% confidence interval (default: with "
        f"more than {EASY} runs)",
    )  # fmt: skip
    curves.set_defaults(command=_plot)

    table = _command(commands.add_parser, "export", "all values as one long table")
    table.add_argument("-o", "--output", type=Path, required=True, help="file that ends in .csv or .parquet")
    table.set_defaults(command=_export)
    return parser


def _command(add: Callable[..., argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    command = add(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="run folder, journal or event file"
    )
    command.add_argument(
        "-t", "--tags", action="append", metavar="PATTERN", help="only tags that match, as 'train/*'"
    )
    return command


def _read(options: argparse.Namespace) -> tuple[dict[str, Metrics], list[str]]:
    """Return the runs by name, and the tags that are wanted of them."""
    patterns: list[str] = options.tags or ["*"]
    runs = {str(path): read_metrics(path) for path in options.runs}
    wanted = [tag for tag in _tags(runs) if _wanted(tag, patterns)]
    if options.tags and not wanted:
        raise ValueError(f"no tag matches {', '.join(patterns)}; there are: {', '.join(_tags(runs))}.")
    return runs, wanted


def _read_wanted(options: argparse.Namespace) -> dict[str, Metrics]:
    """Return the runs with the wanted tags alone."""
    return _only(*_read(options))


def _only(runs: Mapping[str, Metrics], wanted: Sequence[str]) -> dict[str, Metrics]:
    return {
        name: replace(metrics, series={tag: metrics[tag] for tag in wanted if tag in metrics})
        for name, metrics in runs.items()
    }


def _tags(runs: Mapping[str, Metrics]) -> list[str]:
    """Return the tags of all runs, in the order they were first logged."""
    return list(dict.fromkeys(tag for metrics in runs.values() for tag in metrics))


def _show(options: argparse.Namespace) -> None:
    for name, metrics in _read_wanted(options).items():
        print(
            f"{name}: {len(metrics)} tags"
            + (f", {metrics.damaged} damaged records" if metrics.damaged else "")
        )
        rows: list[tuple[str, ...]] = [("tag", "last step", "last", "least", "greatest", "values")]
        for tag, series in metrics.items():
            finite = [value for value in series.values.tolist() if math.isfinite(value)] or [math.nan]
            numbers = [
                format_value(float(number)) for number in (series.values[-1], min(finite), max(finite))
            ]
            rows.append((tag, f"{int(series.steps[-1]):,}", *numbers, f"{len(series):,}"))
        _print_table(rows)


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows of a name and numbers; a terminal that is too narrow gets the first columns, and names cut short."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    while sum(widths) + 2 * len(widths) - 2 > room and len(widths) > 2:
        widths.pop()
    widths[0] = min(widths[0], max(8, room - sum(widths[1:]) - 2 * len(widths) + 2))
    for row in (_cut(row, widths) for row in rows):
        name, *numbers = row
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([name.ljust(widths[0]), *cells]).rstrip())


def _cut(row: tuple[str, ...], widths: Sequence[int]) -> tuple[str, ...]:
    return (elide(row[0], widths[0]), *row[1 : len(widths)])


def _tail(options: argparse.Namespace) -> None:
    tails = {str(path): JournalTail(path, wait=not options.no_follow) for path in options.runs}
    for tail in tails.values():
        if not tail.path.is_file():
            print(f"rlx-logging: waiting for {tail.path}", file=sys.stderr, flush=True)
    first = True
    while first or not options.no_follow:
        for name, tail in tails.items():
            start = f"{name}: " if len(tails) > 1 else ""
            lines = [line for row in tail.new_rows() if (line := _line(row, options.tags))]
            for line in lines[max(0, len(lines) - options.rows) :] if first else lines:
                print(f"{start}{line}", flush=True)
        first = False
        if not options.no_follow:
            time.sleep(0.5)


def _line(row: Row, patterns: Sequence[str] | None) -> str:
    """Return a row as text, with the values whose tags are wanted; empty if there are none."""
    step, *tags = row.layout.tags
    values = [
        f"{key}={format_value(value)}"
        for key, tag, value in zip(row.layout.keys, tags, row.values, strict=True)
        if patterns is None or _wanted(tag, patterns)
    ]
    return "" if patterns and not values else "  ".join([f"{step} {row.step:,}", *values])


def _wanted(tag: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(tag, pattern) for pattern in patterns)


def _plot(options: argparse.Namespace) -> None:
    runs, wanted = _read(options)
    if not options.tags:  # the steps are on the axes already
        steps = {tag for metrics in runs.values() for tag in step_tags(metrics)}
        wanted = [tag for tag in wanted if tag not in steps]
    if options.output is None:
        _plot_in_terminal(_only(runs, wanted))
        return
    plot(runs, wanted, options.output, weight=options.smooth, over_time=options.time, grouped=options.group)
    print(options.output)


def _plot_in_terminal(runs: Mapping[str, Metrics]) -> None:
    columns = shutil.get_terminal_size().columns
    for name, metrics in runs.items():
        print(name)
        ends = {
            tag: f"{format_value(float(series.values[0]))} → {format_value(float(series.values[-1]))}"
            for tag, series in metrics.items()
        }
        widest = max(map(len, ends.values()), default=0)
        wide = min(max(map(len, metrics), default=0), max(8, columns - widest - 12))
        for tag, series in metrics.items():
            bars = sparkline(series.values, max(6, columns - wide - widest - 6))
            print(f"  {elide(tag, wide).ljust(wide)}  {bars}  {ends[tag]}")


def _export(options: argparse.Namespace) -> None:
    export(_read_wanted(options), options.output)
    print(options.output)
