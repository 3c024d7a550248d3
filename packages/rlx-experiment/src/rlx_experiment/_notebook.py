"""Jupyter notebooks: whether this is one, which one, what its cells hold, and a line in it that keeps up."""

import hashlib
import html
import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast

UNKNOWN: Final = "notebook"
"""Stands for the notebook's file where the kernel is not told which one it serves."""


def shell() -> Any:
    """Return the interactive shell (IPython or a kernel of Jupyter) that this process is, or None."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def in_notebook() -> bool:
    """Return whether what is displayed here is shown by a notebook, which can replace it."""
    current = shell()
    return (
        current is not None
        and "ipykernel" in sys.modules
        and type(current).__name__ != "TerminalInteractiveShell"
    )


def is_cell(file: str) -> bool:
    """Return whether code of `file` was typed into an interactive shell, a notebook's cell included."""
    return shell() is not None and not Path(file).is_file()


def notebook_name() -> str:
    """Return the file name of the notebook that this kernel serves, as its server or editor says."""
    current = shell()
    told = os.environ.get("JPY_SESSION_NAME", "")
    if current is not None:
        told = str(current.user_ns.get("__vsc_ipynb_file__", told))
    return Path(told).name if told.endswith(".ipynb") else UNKNOWN


def executed_cells() -> str:
    """Return the code of all cells of this session, in the order in which they ran."""
    current = shell()
    cells: list[str] = [] if current is None else list(current.user_ns.get("In", []))
    return (
        "\n\n".join(f"# In [{number}]\n{cell.rstrip()}" for number, cell in enumerate(cells) if cell) + "\n"
    )


def definition_digest(function: object) -> str:
    """Return what tells the definition of a function from another, comments and layout aside; empty if unknown."""
    import ast
    import inspect
    import textwrap

    with suppress(OSError, TypeError, SyntaxError):
        source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))  # type: ignore[arg-type]
        return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()[:16]
    return ""


class ProgressCell:
    """A bar and a line of text in a notebook's output that are replaced as work proceeds."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._notes: list[str] = []

    def show(self, line: str, share: float) -> None:
        """Show a bar that is full at a `share` of 1, with `line` beside it."""
        display = cast("Any", import_module(f"{sys.modules['IPython'].__name__}.display")).display
        bar = f'<progress max="1" value="{share:.4f}" style="width: 16em"></progress> {html.escape(line)}'
        notes = "".join(f"<div>{html.escape(note)}</div>" for note in self._notes)
        shown = {"text/html": f"<div>{bar}</div>{notes}", "text/plain": "\n".join([line, *self._notes])}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)

    def note(self, text: str) -> None:
        """Keep `text` below the bar, from the next time it is shown."""
        self._notes.append(text)
