"""Tables on standard output: drawn by rich for people at a terminal, plain columns for programs in a pipe."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from rlx_experiment._missing import MissingExtraError, require

_STYLES: Final = {
    "running": "cyan", "starting": "cyan", "finished": "green", "stopped": "yellow", "failed": "bold red",
    "crashed": "bold red", "unknown": "magenta",
}  # fmt: skip


class Table(NamedTuple):
    """Rows of cells below their heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    states: str = ""
    """Head of the column that holds states, which have their colours."""
    numbers: Sequence[str] = ()
    """Heads of columns that are set flush right."""

    @property
    def width(self) -> int:
        """Characters of a line that holds every cell unfolded, and three between two of them."""
        columns = zip(self.heads, *self.rows, strict=True)
        return sum(max(map(len, cells)) for cells in columns) + 3 * (len(self.heads) - 1) + 2


def print_table(table: Table, *, brief: Callable[[], Table] | None = None) -> None:
    """Print `table`, as wide as the terminal where there is one, or what `brief` gives where that is too narrow for it."""
    console = _console()
    if console is None:
        print(plain_columns([table.heads, *table.rows]))
    else:
        console.print(_drawn(brief() if brief and table.width > console.width else table))


def print_sections(title: str, sections: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """Print lists of names and values, each below its heading."""
    console = _console()
    if console is None:
        print(title)
        for heading, items in sections:
            print(f"  {heading}")
            width = max((len(name) for name, _ in items), default=0)
            print("\n".join(f"    {name.ljust(width)}  {value}" for name, value in items))
        return
    console.print(_styled(title, "bold"))
    for heading, items in sections:
        console.print(_styled(f"\n{heading}", "bold cyan"))
        grid = require("rich.table", "cli", "a table").Table.grid(padding=(0, 3))
        for name, value in items:
            style = _STYLES.get(value.partition(" ")[0], "") if name == "state" else ""
            grid.add_row(_styled(f"  {name}", "dim"), _styled(value, style))
        console.print(grid)


def plain_columns(rows: Sequence[Sequence[str]]) -> str:
    """Return `rows` as aligned columns of text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _console() -> Any:
    """Return a rich console; None where output is not for people, or rich is not installed."""
    if not sys.stdout.isatty():
        return None
    try:
        return require("rich.console", "cli", "a table").Console(highlight=False)
    except MissingExtraError:
        return None


def _drawn(table: Table) -> Any:
    box = require("rich.box", "cli", "a table").SIMPLE_HEAD
    drawn = require("rich.table", "cli", "a table").Table(box=box, header_style="bold", pad_edge=False)
    for head in table.heads:
        flush = "right" if head in table.numbers else "left"
        wraps = head in (table.heads[0], table.heads[-1])  # names, and what is said at the end
        drawn.add_column(head, justify=flush, no_wrap=not wraps, overflow="fold")
    for row in table.rows:
        drawn.add_row(*(_cell(table, head, cell) for head, cell in zip(table.heads, row, strict=True)))
    return drawn


def _cell(table: Table, head: str, cell: str) -> Any:
    state = cell.partition(" ")[0] if head == table.states else ""
    return _styled(cell, _STYLES.get(state, ""))


def _styled(text: str, style: str) -> Any:
    """Return `text` as it is, brackets included, in a style of rich."""
    return require("rich.text", "cli", "a table").Text(text, style=style)
