"""Tables for people and for programs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlx_experiment._reports.tables import Table, plain_columns, print_sections, print_table

TABLE = Table(
    ("RUN", "STATE", "TOOK", "ARGUMENTS"),
    [("a", "finished", "0:00:01", "x=[1]"), ("b", "running on a machine", "10:00:00", "word " * 30)],
    states="STATE",
    numbers=("TOOK",),
)
SCRIPT = """
from rlx_experiment._reports.tables import Table, print_sections, print_table
print_table({table})
print_sections("title", [("heading", [("state", "failed (RuntimeError)"), ("key", "[red]value[/red]")])])
"""


def in_terminal(script: str, **environment: str) -> str:
    """Return what a program shows in a terminal of 60 columns."""
    ours, theirs = os.openpty()
    variables = {"TERM": "xterm", "COLUMNS": "60", **environment}
    with subprocess.Popen(
        (sys.executable, "-c", script), stdout=theirs, env={**os.environ, **variables}
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while data := os.read(ours, 65536):
                shown += data
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    assert process.returncode == 0
    return shown.decode().replace("\r\n", "\n")


def without_colours(text: str) -> str:
    """Return `text` without escape sequences."""
    pieces = text.split("\033[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])


def test_plain_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    """In a pipe a table is one line a row, with no more than spaces between the columns."""
    print_table(TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "a    finished              0:00:01   x=[1]"
    assert len(lines) == 3
    print_sections("title", [("heading", [("key", "value"), ("longer", "2")])])
    assert capsys.readouterr().out == "title\n  heading\n    key     value\n    longer  2\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX terminals")
class TestInATerminal:
    def test_drawn_by_rich(self) -> None:
        """A table fits the terminal; states have colours, short facts stay whole, and text is taken as it is."""
        pytest.importorskip("rich", reason="rich is not installed")
        shown = in_terminal(SCRIPT.format(table=repr(TABLE)))
        assert "\033[32mfinished" in shown
        assert "\033[1;31mfailed (RuntimeError)" in shown
        text = without_colours(shown)
        assert max(map(len, text.splitlines())) <= 60
        assert "running on a machine" in text
        assert "[red]value[/red]" in text

    def test_a_narrow_terminal_leaves_columns_out(self) -> None:
        """Rather than fold every name, say less, and say that: the key column stays."""
        pytest.importorskip("rich", reason="rich is not installed")
        rows = [("run_seed=1_lr=0.1", "finished", "2026-01-02 03:04:05", "x=1 " * 8)]
        table = Table(
            ("RUN", "STATE", "STARTED", "ARGUMENTS"),
            rows,
            optional=("ARGUMENTS", "STARTED"),
            brief=("STARTED",),
        )
        script = SCRIPT.format(table=repr(table))
        wide = without_colours(in_terminal(script, COLUMNS="120"))
        assert "2026-01-02 03:04:05" in wide
        assert "left out" not in wide
        middle = without_colours(in_terminal(script, COLUMNS="60"))
        assert "01-02 03:04 " in middle
        assert "left out here: ARGUMENTS" in middle
        narrow = without_colours(in_terminal(script, COLUMNS="34"))
        assert "run_seed=1_lr=0.1" in narrow
        assert "left out here: STARTED, ARGUMENTS" in narrow

    def test_plain_without_rich(self, in_own_folder: Path) -> None:
        """Without rich the same columns as in a pipe are shown."""
        Path("rich.py").write_text("raise ModuleNotFoundError('no rich', name='rich')")
        shown = in_terminal(SCRIPT.format(table=repr(TABLE)), PYTHONPATH=str(in_own_folder))
        assert shown.startswith(plain_columns([TABLE.heads, *TABLE.rows]))

    def test_folds_the_last_column_rather_than_cutting_it_off(self) -> None:
        """In a narrow terminal every argument is there, if need be in several lines."""
        pytest.importorskip("rich", reason="rich is not installed")
        narrow = Table(
            ("RUN", "STATE", "ARGUMENTS"), [("a", "finished", "seed=3, n_epochs=30, rate=0.25, width=512")]
        )
        shown = without_colours(in_terminal(SCRIPT.format(table=repr(narrow)), COLUMNS="44"))
        table = shown.partition("title")[0].splitlines()
        assert max(map(len, table)) <= 44
        assert {"seed=3", "n_epochs=30", "rate=0.25", "width=512"} <= set(shown.replace(",", " ").split())


def test_columns_share_what_others_leave_of_a_line() -> None:
    """A long key and a long end both get room, and no line is longer than the terminal."""
    long = Table(("RUN", "STATE", "ARGUMENTS"), [("r" * 60, "finished", "a" * 60)])
    folded = long.folded(44)
    assert folded == {"RUN": 19, "ARGUMENTS": 9}
    assert sum(folded.values()) + len("finished") + 3 * 2 + 2 <= 44
