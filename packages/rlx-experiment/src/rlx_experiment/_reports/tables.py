"""Tables on standard output: drawn by rich for people at a terminal, plain columns for programs in a pipe."""

import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from rlx_experiment._missing import MissingExtraError, require

_STYLES: Final = {
    "running": "cyan", "starting": "cyan", "finished": "green", "stopped": "yellow", "failed": "bold red",
    "crashed": "bold red", "unknown": "magenta",
}  # fmt: skip

_KEY_WIDTH: Final = 24
"""Characters of a key that are shown in one line, where half of the terminal is as wide."""


class Table(NamedTuple):
    """Rows of cells below their heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    states: str = ""
    """Head of the column that holds states, which have their colours."""
    numbers: Sequence[str] = ()
    """Heads of columns that are set flush right."""

    key: str = ""
    """Head of the column that a narrow terminal shows whole if it can; the first one by default."""
    optional: Sequence[str] = ()
    """Heads of columns that a narrow terminal leaves out, in this order."""
    brief: Sequence[str] = ()
    """Heads of columns of times that it first shows without year and seconds."""

    @property
    def width(self) -> int:
        """Characters of a line that holds every cell unfolded, and three between two of them."""
        columns = zip(self.heads, *self.rows, strict=True)
        return sum(max(map(len, cells)) for cells in columns) + 3 * (len(self.heads) - 1) + 2

    def fitted(self, width: int) -> "Table":
        """Return the table with as few columns less as let a line of `width` hold it, if any number does."""
        table = self
        if table.width > width and self.brief:
            short = [self.heads.index(head) for head in self.brief if head in self.heads]
            table = table._replace(
                rows=[[cell[5:16] if i in short else cell for i, cell in enumerate(row)] for row in self.rows]
            )
        for head in self.optional:
            if table.width > width and head in table.heads:
                table = table.without(head)
        return table

    def folded(self, width: int) -> dict[str, int]:
        """Return the widths of the columns that are folded where a line of `width` does not hold all.

        They are the key's and the last one, in which there are names and what is said at the end.
        """
        columns = zip(self.heads, *self.rows, strict=True)
        longest = {head: max(map(len, (head, *cells))) for head, *cells in columns}
        key, end = self.key or self.heads[0], self.heads[-1]
        if key == end:
            return {key: max(1, min(longest[key], width - self.width + longest[key]))}
        room = width - self.width + longest[key] + longest[end]
        least = max(len(key), min(_KEY_WIDTH, width // 2))
        at_key = min(longest[key], max(least, room - longest[end]))
        at_end = min(longest[end], max(len(end), room - at_key))
        return {key: max(1, min(at_key, room - at_end)), end: at_end}

    def without(self, head: str) -> "Table":
        """Return the table without a column."""
        at = list(self.heads).index(head)
        rows = [[cell for i, cell in enumerate(row) if i != at] for row in self.rows]
        return self._replace(heads=[name for name in self.heads if name != head], rows=rows)


def print_table(table: Table) -> None:
    """Print `table`; in a terminal with as many of its columns as it is wide enough for, and words on the others."""
    console = _console()
    if console is None:
        print(plain_columns([table.heads, *table.rows]))
        return
    fitted = table.fitted(console.width)
    console.print(_drawn(fitted, console.width))
    missing = [head for head in table.heads if head not in fitted.heads]
    if missing:
        console.print(_styled(f"left out here: {', '.join(missing)}", "dim"))


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


def print_patch(patch: str) -> None:
    """Print a patch, in colour where rich is installed; control characters in it do nothing to the terminal."""
    harmless = "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in patch
    )
    console = _console()
    if console is None:
        print(harmless, end="")
        return
    syntax = require("rich.syntax", "cli", "a patch").Syntax
    console.print(syntax(harmless, "diff", theme="ansi_dark", background_color="default", word_wrap=True))


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


def _drawn(table: Table, width: int) -> Any:
    box = require("rich.box", "cli", "a table").SIMPLE_HEAD
    drawn = require("rich.table", "cli", "a table").Table(box=box, header_style="bold", pad_edge=False)
    # Rich would cut the last column off rather than fold it; before 15 it pads the first one by one character more.
    folded = table.folded(width - 1)
    for head in table.heads:
        flush = "right" if head in table.numbers else "left"
        drawn.add_column(
            head, justify=flush, no_wrap=head not in folded, overflow="fold", width=folded.get(head)
        )
    for row in table.rows:
        drawn.add_row(*(_cell(table, head, cell) for head, cell in zip(table.heads, row, strict=True)))
    return drawn


def _cell(table: Table, head: str, cell: str) -> Any:
    state = cell.partition(" ")[0] if head == table.states else ""
    return _styled(cell, _STYLES.get(state, ""))


def _styled(text: str, style: str) -> Any:
    """Return `text` as it is, brackets included, in a style of rich."""
    return require("rich.text", "cli", "a table").Text(text, style=style)
